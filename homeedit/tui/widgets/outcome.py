"""How a compile, revert, purge or verify ended, in words."""

from collections.abc import Callable

from homeedit.errors import Cancelled, HomeEditError
from homeedit.household.results import BuildResult, FactResult, Unrelated
from homeedit.tui.widgets.outlook import Outlook
from homeedit.tui.words import counted, plain, purge_words, size, the_build
from homeedit.tui.work import Work
from homeedit.tui.workline import duration


def verdict(work: Work, result: BuildResult, active: int | None) -> str:
    """Activated, refused, or nothing to do; after a purge, whether the model still says the fact."""
    live = sum(fact.state == "live" for fact in result.facts)
    recalled = f"{live} of {counted(len(result.facts), 'fact')} recalled" if result.facts else "it holds no fact"
    if work.method == "verify":
        return f"✓ Build {result.build} was asked again: {recalled}."
    if not result.activated:
        return f"✗ Build {result.build} was refused. {still_served(active)}"
    if not result.changed:
        return f"✓ Nothing to do: build {result.build} is up to date, {recalled}."
    symbol = "✓" if live == len(result.facts) else "!"
    return f"{symbol} Build {result.build} is served now: {recalled}."


def still_served(active: int | None) -> str:
    """What was served before is served after."""
    return f"{the_build(active)} is served as before, untouched."


def proof(gone: FactResult) -> str:
    """What a purged fact's questions give now."""
    right = sum(asked.right for asked in gone.asked)
    return f"{'!' if right else '✓'} {gone.id} is purged. {purge_words(right, len(gone.asked))}"


def drift_words(kl: float) -> str:
    """KL in plain words."""
    amount = "hardly" if kl < 0.02 else "a little" if kl < 0.06 else "noticeably" if kl < 0.1 else "strongly"
    return f"answers moved {amount} (KL {kl:.3f})"


def locality_words(locality: Unrelated | None, drift: float | None) -> str:
    """What became of everything that has nothing to do with the facts."""
    if locality is not None:
        kept = f"Unrelated questions: {locality.kept} of {locality.asked} still right, "
        return (kept if locality.asked else "Unrelated questions: ") + drift_words(locality.kl) + "."
    return "" if drift is None else f"Unrelated questions: {drift_words(drift)}."


def sizes_words(outlook: Outlook) -> str:
    """What is served takes this much disk."""
    if outlook.build is None:
        return ""
    patches = counted(len(outlook.patch_bytes), "patch", "patches")
    return f"Model file {size(outlook.build.bytes)}, {patches} {size(sum(outlook.patch_bytes))}."


def seconds_words(result: BuildResult) -> str:
    """Seconds of the stages that took any time worth to tell."""
    stages = [f"{stage} {seconds:.1f}" for stage, seconds in result.seconds.items() if stage != "total" and seconds]
    if not stages:
        return ""
    total = result.seconds.get("total", sum(result.seconds.values()))
    return f"Took {duration(total)}: {', '.join(stages)}."


def numbers(outlook: Outlook, result: BuildResult | None, width: int) -> list[str]:
    """Locality, sizes and seconds, in as few lines as the width allows."""
    parts = [
        locality_words(result.locality, None) if result is not None else locality_words(None, outlook.drift),
        sizes_words(outlook),
        seconds_words(result) if result is not None else "",
    ]
    lines = [""]
    for part in parts:
        if lines[-1] and len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] += f" {part}"
        elif part:
            lines.append(part)
    return lines[1:]


def outcome(
    work: Work | None, result: BuildResult | None, outlook: Outlook, width: int, key: Callable[[str], str]
) -> list[str]:
    """How the last work ended, the verdict first; without one, what is known of the build that is served.

    ``key`` gives the key of an action.
    """
    if work is not None and not work.running and work.error is not None:
        return ending(work, outlook, key("compile.start"))
    if work is None or result is None:
        return numbers(outlook, None, width)
    lines = [verdict(work, result, outlook.active), *(f"· {plain(reason)}" for reason in result.reasons)]
    lines += [proof(gone) for gone in result.gone]
    if not result.activated:
        lines.append(
            f"{key('compile.rephrase')} rephrases, {key('compile.consolidate')} compiles all facts together, "
            f"{key('compile.force')} serves it anyway."
        )
    return lines + numbers(outlook, result, width)


def ending(work: Work, outlook: Outlook, start_key: str) -> list[str]:
    """What is said of work that gave no result: it was stopped, or it failed."""
    still = counted(outlook.work, "change")
    remains = f"Still to do: {still} of the list; {start_key} starts again." if outlook.work else ""
    if isinstance(work.error, Cancelled):
        stopped = f"■ {work.title} was stopped after {duration(work.seconds)}."
        return [line for line in (stopped, still_served(outlook.active), remains) if line]
    error = work.error
    words = [error.message, error.hint] if isinstance(error, HomeEditError) else [f"{type(error).__name__}: {error}"]
    failed = f"✗ {work.title} failed after {duration(work.seconds)}: {words[0]}"
    lines = [failed, *words[1:], still_served(outlook.active), remains]
    return [plain(line) for line in lines if line]
