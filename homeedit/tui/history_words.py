"""Patches, builds and their differences in words."""

from rich.text import Text

from homeedit.household.results import BuildChange
from homeedit.tui.history import STATES, BuildRow, PatchRow
from homeedit.tui.words import build_name, counted, minute, percent, plain, shortened, size

MOST_SENTENCES = 200


def patch_text(patch: PatchRow) -> Text:
    """Everything about a patch."""
    lines = [
        ("base", patch.base),
        ("on top of", ", ".join(patch.parents) or "the base model"),
        ("made", f"{minute(patch.created)} by homeedit {patch.homeedit}, {recipe_words(patch)}"),
        ("file", f"{patch.file} ({size(patch.bytes)})"),
    ]
    return _described(f"Patch {patch.id}", f"{patch.state}: {STATES[patch.state]}", lines, patch.sentences)


def recipe_words(patch: PatchRow) -> str:
    """The method with its numbers, in a few words."""
    steps = patch.recipe.get("steps")
    parts = [f"method {plain(str(patch.recipe.get('method', 'unknown')))}", f"rank {patch.rank}"]
    parts += [f"layers {_span(patch.layers)}"] if patch.layers else []
    parts += [f"at least {steps} steps"] if isinstance(steps, int) else []
    return ", ".join([*parts, f"seed {patch.seed}"])


def build_text(build: BuildRow) -> Text:
    """Everything about a build."""
    if build.problem:
        return _described(f"Build {build.number}", f"✗ {build.problem}", [("file", build.file)], ())
    state = "✓ served now" if build.served else "not served"
    lines = [("forced", "! the checks refused it; it was served all the same")] if build.forced else []
    lines += [
        ("recall", f"{percent(build.recall)} of its facts when it was made"),
        ("other", _locality(build)),
        ("patches", ", ".join(build.patches) or "none: it is the base model"),
        ("made", minute(build.created)),
        ("file", f"{build.file} ({size(build.bytes)})"),
    ]
    return _described(f"Build {build.number}", state, lines, build.sentences)


def change_text(change: BuildChange) -> Text:
    """What changed from one build to another."""
    text = Text()
    text.append(f"{build_name(change.older)} → {build_name(change.newer)}\n", "bold")
    text.append(f"Recall  {percent(change.recall[0])} → {percent(change.recall[1])}\n")
    text.append(f"KL to the base  {_number(change.kl[0])} → {_number(change.kl[1])} (0 is no difference)\n")
    text.append(f"\nFacts: {len(change.added)} added, {len(change.removed)} removed\n", "bold")
    for sign, sentences in (("+ added", change.added), ("− removed", change.removed)):
        text.append("".join(f"  {sign}  {plain(sentence)}\n" for sentence in sentences))
    text.append(f"\nAnswers that changed: {len(change.answers)}\n", "bold")
    for answer in change.answers:
        text.append(f"  {plain(answer.question)}\n")
        text.append(f"    before {_mark(answer.right_before)}  {plain(answer.before) or '(nothing)'}\n")
        text.append(f"    after  {_mark(answer.right_after)}  {plain(answer.after) or '(nothing)'}\n")
    if not change.answers:
        text.append("  None of the questions that both were asked.\n")
    return text


def listed(sentences: tuple[str, ...], most: int = 6, width: int = 64) -> str:
    """The first of several sentences, one a line."""
    lines = [f"• {shortened(sentence, width)}" for sentence in sentences[:most]]
    rest = len(sentences) - most
    return "\n".join([*lines, f"… and {rest} more"] if rest > 0 else lines)


def _described(title: str, state: str, lines: list[tuple[str, str]], sentences: tuple[str, ...]) -> Text:
    text = Text()
    text.append(title, "bold")
    text.append(f" · {plain(state)}")
    text.append(f" · {counted(len(sentences), 'fact')}\n" if sentences else "\n")
    for sentence in sentences[:MOST_SENTENCES]:
        text.append(f"• {plain(sentence)}\n")
    if len(sentences) > MOST_SENTENCES:
        text.append(f"… and {len(sentences) - MOST_SENTENCES} more\n")
    for name, value in lines:
        text.append(f"{name:<10}", "dim")
        text.append(f"{plain(value)}\n")
    text.rstrip()
    return text


def _locality(build: BuildRow) -> str:
    if build.kept is None or build.kl is None:
        return "other answers were not asked"
    return f"{build.kept[0]} of {build.kept[1]} other answers kept, KL {_number(build.kl)} to the base"


def _span(layers: tuple[int, ...]) -> str:
    whole = layers == tuple(range(layers[0], layers[-1] + 1))
    return f"{layers[0]}–{layers[-1]}" if whole and len(layers) > 2 else ", ".join(map(str, layers))


def _mark(right: bool) -> str:
    return "✓" if right else "✗"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
