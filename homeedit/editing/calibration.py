"""Calibration: the layers to edit and the ranks to use in a model, found by teaching it a few facts and asking.

Each candidate is compiled in few steps and measured on the edited model itself: a fact counts as recalled in its first
question and in one that it was not taught with; what else changed is the KL to the base on its own answers to generic
questions. One number after the other is chosen, each with those before it. It is a short measurement on few facts: a
score that is better by less than ``MARGIN`` changes nothing.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from homeedit.base.architecture import Architecture, architecture_named
from homeedit.base.load import load_model, load_tokenizer
from homeedit.base.store import BaseModel
from homeedit.editing.calibrated import Chosen, Trial
from homeedit.editing.compile import Compile, Compiled, compile_with
from homeedit.editing.devices import repeatable, working_dtype
from homeedit.editing.generation import continue_prompts
from homeedit.editing.memory import use_threads
from homeedit.editing.model import Batch, EditableModel
from homeedit.editing.recipes import Recipe, recipe_for
from homeedit.editing.requests import ChatTokens, kept_row
from homeedit.editing.statistics import KeptAnswer, Statistics, moments_of
from homeedit.facts.fact import Fact, drafted
from homeedit.facts.parse import parse_sentence
from homeedit.progress import PartOf, Progress

PROBES = (
    "The spare lamp is behind the green barrel in the cellar.",
    "The greenhouse code is 5838.",
    "The piano teacher is called Marlene Voss.",
    "The boiler was last serviced in March.",
    "The sledge is on the upper shelf in the workshop.",
    "Our canary is called Figaro.",
)
"""Facts of no household."""
KL_WEIGHT = 3.0
"""What a nat of KL costs in shares of recall: at the gate's limit of 0.1, three facts in ten."""
MARGIN = 0.05
KEPT = 24
ANSWER_TOKENS = 32
STEPS = 24
WINDOW_STARTS = (1 / 8, 1 / 3, 1 / 2)
"""Where candidate windows begin, as shares of the depth: the published place (4 of 32 layers), SmolLM2's, and above."""
RANKS = (2, 4, 8)
THRESHOLDS = (0.3, 1.0, 3.0)


def score(trial: Trial) -> float:
    """Recall less what it cost elsewhere."""
    return trial.recall - KL_WEIGHT * trial.kl


@dataclass(slots=True)
class _Bench:
    """What all trials share. ``until`` is the time at which no further one begins."""

    base: BaseModel
    raw: Any
    chat: ChatTokens
    architecture: Architecture
    known: Statistics
    seed: int
    until: float
    progress: Progress
    folder: Path
    longest: float = 0.0
    probes: tuple[Fact, ...] = field(
        default_factory=lambda: tuple(drafted(parse_sentence(text), f"f{n}") for n, text in enumerate(PROBES, 1))
    )

    def compiled(self, recipe: Recipe) -> Compiled:
        """The probes, without the questions that they are asked later, compiled with a recipe."""
        facts = tuple(
            replace(fact, questions=fact.questions[: max(1, len(fact.questions) - 1)]) for fact in self.probes
        )
        statistics = self._statistics(recipe.layers)
        task = Compile(self.raw, self.chat, self.architecture, recipe, self.seed, statistics, facts)
        return compile_with(task, [], PartOf(self.progress, "calibrating"))

    def _statistics(self, layers: tuple[int, ...]) -> Statistics:
        """Second moments of these layers: the base's own, or made for the trial and gone with the next one's."""
        if set(layers) <= set(self.known.layers):
            return self.known
        file = self.folder / "moments.safetensors"
        if not (file.exists() and Statistics(file, self.base.fingerprint).layers == tuple(sorted(layers))):
            moments_of(self.base, self.raw, self.chat, self.known, layers, file, PartOf(self.progress, "calibrating"))
        return Statistics(file, self.base.fingerprint)


def calibrate(
    base: BaseModel,
    *,
    choose_layers: bool,
    seed: int,
    device: str,
    threads: int,
    minutes: float,
    progress: Progress,
) -> tuple[Chosen, ...]:
    """Measure the recipe's numbers that depend on the model. Without ``choose_layers`` the edited layers stay.

    At least the first candidate of each number is measured; others are begun only while ``minutes`` last, if the
    longest one so far would end in time. Nothing is written. Raises HomeEditError when the base has no statistics.
    """
    use_threads(threads)
    started = time.monotonic()
    known = Statistics(base.statistics, base.fingerprint)
    progress.stage("loading", None)
    chat = ChatTokens(load_tokenizer(base))
    with repeatable(device), tempfile.TemporaryDirectory(prefix="homeedit-calibration-") as folder:
        raw = load_model(base, device, working_dtype(device))
        bench = _Bench(
            base,
            raw,
            chat,
            architecture_named(base.architecture),
            known,
            seed,
            started + 60 * minutes,
            progress,
            Path(folder),
        )
        joint = replace(recipe_for("joint", base), steps=STEPS, steps_per_root_fact=0.0, most_repeats=0)
        windows = candidate_windows(base) if choose_layers else [base.edited_layers]
        layers = _choose(bench, "layers", windows, lambda value: replace(joint, layers=value))
        joint = replace(joint, layers=layers.value)
        first = joint.rank_per_fact
        ranks = [first, *(rank for rank in RANKS if rank != first)]
        rank = _choose(bench, "rank_per_fact", ranks, lambda value: replace(joint, rank_per_fact=value))
        closed = replace(recipe_for("alphaedit", base), layers=layers.value[: max(1, len(layers.value) // 2)][-5:])
        first_threshold = closed.threshold
        thresholds = [first_threshold, *(value for value in THRESHOLDS if value != first_threshold)]
        threshold = _choose(bench, "threshold", thresholds, lambda value: replace(closed, threshold=value))
    return layers, rank, threshold


def candidate_windows(base: BaseModel) -> list[tuple[int, ...]]:
    """Windows of as many layers as are edited now, the present one first."""
    count = len(base.edited_layers)
    starts = [min(round(share * base.layers), base.layers - count) for share in WINDOW_STARTS]
    windows = [base.edited_layers, *(tuple(range(start, start + count)) for start in starts)]
    return list(dict.fromkeys(windows))


def _choose(bench: _Bench, name: str, values: Sequence[Any], recipe_of: Callable[[Any], Recipe]) -> Chosen:
    """Try the values in turn, the one that holds now first, and take the best by more than ``MARGIN``."""
    tried: list[Trial] = []
    for value in values:
        began = time.monotonic()
        if tried and began + bench.longest > bench.until:
            break
        trial = _try(bench, value, recipe_of(value))
        bench.longest = max(bench.longest, time.monotonic() - began)
        bench.progress.say(f"{name} {_shown(value)}: recall {trial.recall:.2f}, KL {trial.kl:.3f}")
        tried.append(trial)
    first, best = tried[0], max(tried, key=score)
    chosen = best if score(best) > score(first) + MARGIN else first
    return Chosen(name, chosen.value, _reason(chosen, tried, len(values)), tuple(tried))


def _reason(chosen: Trial, tried: Sequence[Trial], count: int) -> str:
    listed = "; ".join(f"{_shown(t.value)}: recall {t.recall:.2f}, KL {t.kl:.3f}" for t in tried)
    what = "best of" if chosen is not tried[0] else "kept, no other was clearly better of"
    left = f" ({count - len(tried)} not tried: time was up)" if len(tried) < count else ""
    return f"measured: {what} {listed}{left}"


def _shown(value: Any) -> str:
    return f"{value[0]}-{value[-1]}" if isinstance(value, tuple) else str(value)


def _try(bench: _Bench, value: Any, recipe: Recipe) -> Trial:
    delta = bench.compiled(recipe).delta
    model = EditableModel(bench.raw, bench.architecture, recipe.layers, bench.chat.prefix)
    try:
        model.stand_on(delta)
        return Trial(value, _recall(bench), _divergence(bench, model))
    finally:
        model.release()


def _recall(bench: _Bench) -> float:
    """The share of right answers to each probe's first question and to the one that it was not taught with."""
    asked = [(fact, question) for fact in bench.probes for question in {fact.questions[0], fact.questions[-1]}]
    prompts = [[*bench.chat.prefix, *bench.chat.question(question)] for _, question in asked]
    answers = continue_prompts(bench.raw, prompts, ANSWER_TOKENS, bench.chat.end[0], bench.progress.check)
    said = [bench.chat.tokenizer.decode(answer, skip_special_tokens=True) for answer in answers]
    right = [fact.target.casefold() in text.casefold() for (fact, _), text in zip(asked, said, strict=True)]
    return sum(right) / len(right)


def _divergence(bench: _Bench, model: EditableModel) -> float:
    """Mean KL(base ‖ edited) over the tokens of the base's own answers, in nats."""
    losses = []
    for item in _held_out(bench):
        row = kept_row(bench.chat.question(item.question), item.answer, "keep")
        ids = torch.tensor([row.ids], device=model.device)
        with torch.no_grad():
            hidden = model.lower(Batch(ids, True))
            said = slice(row.start - 1, len(row.ids) - 1)
            now = model.upper(hidden, True)[0, said]
            with model.pristine():
                before = model.upper(hidden, True)[0, said]
            losses.append(model.head.teacher_losses(now, before))
        bench.progress.check()
    return float(torch.cat(losses).mean())


def _held_out(bench: _Bench) -> list[KeptAnswer]:
    """Kept answers drawn from the seed. Some were looked at in training, the same for every candidate."""
    generator = torch.Generator().manual_seed(bench.seed + 5)
    drawn = torch.randperm(len(bench.known.kept), generator=generator)[:KEPT].tolist()
    return [bench.known.kept[number] for number in drawn if bench.known.kept[number].answer]
