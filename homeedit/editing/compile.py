"""Compile facts into one low-rank change per edited layer.

Memory, of one round at a time: the model once in its working dtype, hidden states of all rows at one layer (d_model
values a token), at most ``MOST_KEYS`` keys a layer and kind, ``most_directions`` × d_ff and, dense, the change and what
it stands on per edited layer, a step's keys there, and the few d_ff × d_ff matrices of one layer at a time; before that
the attention caches of ``ASKED_AT_ONCE`` near misses on each of a few cores. Time: in a
round of at most twelve facts steps grow with the square root of their number, each over a fixed number of rows; rounds,
and so the whole, grow linearly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from homeedit.base.architecture import Architecture, architecture_named
from homeedit.base.load import load_model, load_tokenizer
from homeedit.base.store import BaseModel
from homeedit.editing.batches import batches_of, padded_ids
from homeedit.editing.delta import Array, Delta, LowRank, concatenate
from homeedit.editing.devices import repeatable, working_dtype
from homeedit.editing.generation import continue_prompts
from homeedit.editing.job import Job
from homeedit.editing.memory import give_back, trim, use_threads
from homeedit.editing.methods import METHODS
from homeedit.editing.model import EditableModel
from homeedit.editing.recipes import Recipe
from homeedit.editing.requests import ChatTokens, Row, Turn, exchange, fact_rows, kept_row, rows_of, text_row
from homeedit.editing.statistics import Statistics
from homeedit.editing.targets import contexts_of
from homeedit.editing.workers import workers_on
from homeedit.errors import HomeEditError
from homeedit.facts.contrasts import NearMiss, near_misses
from homeedit.facts.everyday import everyday_questions
from homeedit.facts.fact import Fact
from homeedit.progress import PartOf, Progress

ASKED_AT_ONCE = 64
"""Near misses that a core asks the base together."""
SMALL_TALK = 3
"""Generic exchanges that may come before a question about a fact."""


@dataclass(frozen=True, slots=True)
class Parent:
    """An enabled patch that a compile stands on: its facts, its change and its facts' keys per layer [n, d_ff]."""

    facts: tuple[Fact, ...]
    delta: Delta
    keys: dict[int, Array]


@dataclass(frozen=True, slots=True)
class Compiled:
    """The change, the facts' keys per layer [n, d_ff] float16, and what is worth telling of how it went."""

    delta: Delta
    keys: dict[int, Array]
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compile:
    """What all rounds of a compile share: a loaded model, and the facts of all of them."""

    raw: Any
    """The transformers model, pristine between rounds."""
    chat: ChatTokens
    architecture: Architecture
    recipe: Recipe
    seed: int
    statistics: Statistics
    facts: tuple[Fact, ...]


def compile_facts(
    facts: Sequence[Fact],
    *,
    base: BaseModel,
    kept: Sequence[Parent],
    recipe: Recipe,
    seed: int,
    device: str,
    threads: int,
    progress: Progress,
) -> Compiled:
    """Compile facts together, on top of the patches in ``kept``, from a seed. Deterministic on one machine.

    Many facts are learned in rounds, each on top of those before as if they were patches: what a hundred facts
    need at once disturbs itself and everything else, ten after ten do not (README.md). The result is one change.

    Raises HomeEditError when the statistics are missing or of another base, Cancelled when asked to stop.
    """
    use_threads(threads)
    statistics = Statistics(base.statistics, base.fingerprint)
    progress.stage("loading", None)
    chat = ChatTokens(load_tokenizer(base))
    with repeatable(device):
        raw = load_model(base, device, working_dtype(device))
        task = Compile(raw, chat, architecture_named(base.architecture), recipe, seed, statistics, tuple(facts))
        compiled = compile_with(task, kept, progress)
    del raw, task
    give_back()
    return compiled


def compile_with(task: Compile, kept: Sequence[Parent], progress: Progress) -> Compiled:
    """Compile with a model that is loaded already; it is left as it was. Else as ``compile_facts``."""
    facts, recipe = task.facts, task.recipe
    rounds = _rounds(facts, recipe)
    done: list[Parent] = []
    reports = []
    for number, chosen in enumerate(rounds, 1):
        part = progress if len(rounds) == 1 else PartOf(progress, f"{number} of {len(rounds)}")
        parent, report = _compile_round(task, chosen, [*kept, *done], part)
        done.append(parent)
        reports.append(report)
        trim()
    keys = {layer: np.concatenate([parent.keys[layer] for parent in done]) for layer in recipe.layers}
    return Compiled(concatenate([parent.delta for parent in done]), keys, _summed_up(rounds, reports))


def _rounds(facts: Sequence[Fact], recipe: Recipe) -> list[Sequence[Fact]]:
    """The facts in their order, in as few rounds as the recipe allows, which differ by one fact at most."""
    count = -(-len(facts) // recipe.facts_per_round) if recipe.method == "joint" else 1
    bounds = [round(number * len(facts) / count) for number in range(count + 1)]
    return [facts[start:end] for start, end in pairwise(bounds)]


def _summed_up(rounds: Sequence[Sequence[Fact]], reports: Sequence[dict[str, float]]) -> dict[str, Any]:
    """What the one round says; of several the mean loss of all rows and the worst, each as its round left it."""
    if len(reports) == 1:
        return reports[0]
    facts = sum(map(len, rounds))
    mean = sum(len(chosen) * report["loss"] for chosen, report in zip(rounds, reports, strict=True)) / facts
    return {"loss": mean, "worst": max(report["worst"] for report in reports), "rounds": len(rounds)}


def _compile_round(
    task: Compile, facts: Sequence[Fact], kept: Sequence[Parent], progress: Progress
) -> tuple[Parent, dict[str, float]]:
    """Compile a few facts on top of what is in ``kept``."""
    raw, chat, seed, statistics = task.raw, task.chat, task.seed, task.statistics
    earlier = [fact for parent in kept for fact in parent.facts]
    recipe = task.recipe.on_top_of(len(earlier))
    said = [exchange(fact) for fact in (*facts, *earlier)] + _small_talk(chat, statistics, seed)
    rows = fact_rows(chat, facts, said=said)
    if recipe.method != "joint":
        # The closed forms hold what is preserved by its statistics and its keys alone.
        rows = contexts_of(rows, len(facts))
    else:
        rows += _replay_rows(chat, kept, len(facts), said, recipe, seed)
        rows += _preserved_rows(chat, statistics, recipe, len(facts), seed)
        rows += _contrast_rows(raw, chat, _contrasts(facts, earlier, task.facts, recipe, seed), recipe, progress)
    model = EditableModel(raw, task.architecture, recipe.layers, chat.prefix)
    try:
        model.stand_on(concatenate([parent.delta for parent in kept]))
        generator = torch.Generator().manual_seed(seed)
        job = Job(model, chat, tuple(facts), rows, _earlier_keys(kept), statistics, recipe, generator)
        factors, report = METHODS[recipe.method](job, progress)
        delta = {layer: LowRank(_half(A), _half(B)) for layer, (A, B) in factors.items()}
        if not all(np.isfinite(part.A).all() and np.isfinite(part.B).all() for part in delta.values()):
            raise HomeEditError(
                "The compile produced numbers that are not finite; nothing was stored.",
                "Compile fewer facts at once, or try another seed in homeedit.toml.",
            )
        model.change({layer: (B @ A).to(model.dtype) for layer, (A, B) in factors.items()})
        return Parent(tuple(facts), delta, facts_keys(model, rows, len(facts))), report
    finally:
        model.release()


def _small_talk(chat: ChatTokens, statistics: Statistics, seed: int) -> list[tuple[Turn, Turn]]:
    """A few generic questions with the base's own answers, drawn from the seed."""
    generator = torch.Generator().manual_seed(seed + 3)
    drawn = torch.randperm(len(statistics.kept), generator=generator)[:SMALL_TALK].tolist()
    kept = [statistics.kept[number] for number in drawn]
    return [
        (("user", item.question), ("assistant", chat.tokenizer.decode(item.answer, skip_special_tokens=True)))
        for item in kept
    ]


def _replay_rows(
    chat: ChatTokens,
    kept: Sequence[Parent],
    facts: int,
    said: Sequence[tuple[Turn, Turn]],
    recipe: Recipe,
    seed: int,
) -> list[Row]:
    """A few rows of every fact of the patches stood on, drawn from the seed; their first question is always one."""
    generator = torch.Generator().manual_seed(seed + 1)
    each = recipe.replays_for(sum(len(parent.facts) for parent in kept), facts)
    chosen: list[Row] = []
    for parent in kept:
        for fact in parent.facts:
            rows = rows_of(chat, fact, 0, "replay", said)
            chosen.append(next(rows))
            if each > 1:
                others = list(rows)
                drawn = torch.randperm(len(others), generator=generator)[: each - 1].tolist()
                chosen += [others[number] for number in drawn]
    return chosen


def _preserved_rows(chat: ChatTokens, statistics: Statistics, recipe: Recipe, facts: int, seed: int) -> list[Row]:
    """Generic questions with the base's stored answers and pieces of its own text, drawn from the seed.

    As many as a compile of this size can look at: each is run through the model once.
    """
    generator = torch.Generator().manual_seed(seed + 2)
    most = recipe.preserved_for(facts, recipe.kept_rows_per_step)
    asked = torch.randperm(len(statistics.kept), generator=generator)[:most].tolist()
    kept = [statistics.kept[number] for number in asked]
    rows = [kept_row(chat.question(item.question), item.answer[: recipe.kept_tokens], "keep") for item in kept]
    pieces = [
        text[at : at + recipe.text_tokens]
        for text in (text[len(chat.start) :] for text in statistics.texts)
        for at in range(0, len(text) - recipe.text_tokens + 1, recipe.text_tokens)
    ]
    most = recipe.preserved_for(facts, recipe.text_rows_per_step)
    drawn = torch.randperm(len(pieces), generator=generator)[:most].tolist()
    return rows + [text_row(pieces[number], chat.start) for number in drawn]


@dataclass(frozen=True, slots=True)
class _Contrast:
    """A question of which the base's answer must stay what it is, how that answer is made to begin, and how many of
    its tokens are held."""

    fact: int
    question: str
    tokens: int
    begun: str = ""


def _contrasts(
    facts: Sequence[Fact], earlier: Sequence[Fact], taught: Sequence[Fact], recipe: Recipe, seed: int
) -> list[_Contrast]:
    """Near misses and everyday questions of the facts, and some near misses of earlier ones, drawn from the seed.

    A near miss is asked twice: with the base's own answer, and with the beginning that the fact's answer has
    ("The painter is called"), because that is the place where a taught target slips out. What a painter does is
    general knowledge, and as many tokens of it are held as of other kept answers: it drifts behind its beginning.
    Those of earlier facts (index -1) keep what their own compile held from slipping in the compiles after it.
    """
    avoid = {fact.subject.lower() for fact in (*facts, *taught, *earlier)}
    asked: list[_Contrast] = []
    for index, fact in enumerate(facts):
        for number, miss in enumerate(near_misses(fact, avoid, seed=seed, count=recipe.contrasts_per_fact)):
            asked += _asked(index, miss, number, recipe)
        asked += [_Contrast(index, question, recipe.kept_tokens) for question in everyday_questions(fact)]
    generator = torch.Generator().manual_seed(seed + 4 + len(earlier))
    drawn = torch.randperm(len(earlier), generator=generator)[: recipe.earlier_contrasts_per_fact * len(facts)]
    for number in drawn.tolist():
        found = near_misses(earlier[number], avoid, seed=seed, count=recipe.contrasts_per_fact)
        misses = [miss for miss in found if miss.questions]
        if misses:
            at = int(torch.randint(len(misses), (1,), generator=generator))
            asked += _asked(-1, misses[at], at, recipe)
    return asked


def _asked(fact: int, miss: NearMiss, number: int, recipe: Recipe) -> list[_Contrast]:
    if not miss.questions:
        return []
    question = miss.questions[number % len(miss.questions)]
    tokens = recipe.contrast_tokens
    return [_Contrast(fact, question, tokens), _Contrast(fact, question, tokens, miss.prompt)]


def _contrast_rows(
    raw: Any, chat: ChatTokens, asked: Sequence[_Contrast], recipe: Recipe, progress: Progress
) -> list[Row]:
    """Rows of the contrasts, with what the base says of them now."""
    progress.stage("contrasts", len(asked))
    begun = [(*chat.question(item.question), *chat.encode(item.begun)[0]) for item in asked]

    def answered(group: Sequence[int]) -> list[Row]:
        prompts = [(*chat.prefix, *begun[index]) for index in group]
        answers = continue_prompts(raw, prompts, asked[group[0]].tokens, chat.end[0], progress.check)
        return [
            kept_row(begun[index], answer, "contrast", asked[index].fact)
            for index, answer in zip(group, answers, strict=True)
        ]

    rows: list[Row] = []
    with workers_on(raw.get_input_embeddings().weight.device) as workers:
        for found in workers.map(answered, _alike(asked, ASKED_AT_ONCE)):
            rows += found
            progress.advance(len(found))
    # What the answers' attention caches left in the heap is not to lie below what preparing holds.
    trim()
    return rows


def _alike(asked: Sequence[_Contrast], most: int) -> Iterator[Sequence[int]]:
    """Indexes of contrasts of which as many tokens are held, at most so many at a time."""
    for tokens in sorted({item.tokens for item in asked}):
        of = [index for index, item in enumerate(asked) if item.tokens == tokens]
        yield from (of[at : at + most] for at in range(0, len(of), most))


def _earlier_keys(kept: Sequence[Parent]) -> dict[int, Tensor]:
    layers = sorted({layer for parent in kept for layer in parent.keys})
    return {
        layer: torch.cat([torch.tensor(parent.keys[layer]) for parent in kept if layer in parent.keys])
        for layer in layers
    }


def facts_keys(model: EditableModel, rows: Sequence[Row], facts: int) -> dict[int, Array]:
    """Keys [3 × facts, d_ff] float16 per layer that later compiles preserve.

    For every fact the mean key, over those of its rows that it was compiled with, at the subject's last token, at the
    token that begins the answer, and at the tokens that predict the target.
    """
    own = [row for row in rows if row.kind == "fact"]
    width = model.edited[model.first].weight.shape[1]
    sums = {layer: torch.zeros(facts, 3, width) for layer in model.edited_layers}
    counts = torch.zeros(facts, 3, 1)

    def keys_of(group: Sequence[int]) -> dict[int, Tensor]:
        chosen = [own[index] for index in group]
        with torch.no_grad(), model.recording() as found:
            model.upper(model.lower(padded_ids(chosen, model.device)), chosen[0].prefixed, until=max(model.edited))
        return {layer: keys for layer, (keys,) in found.items()}

    with workers_on(model.device) as workers:
        groups = batches_of(own, workers.forward)
        for group, found in zip(groups, workers.map(keys_of, groups), strict=True):
            for number, row in enumerate(own[index] for index in group):
                for slot, positions in enumerate(_preserved_positions(row)):
                    if positions:
                        counts[row.fact, slot] += 1
                        for layer, keys in found.items():
                            sums[layer][row.fact, slot] += keys[number, positions].float().cpu().mean(0)
    return {layer: _half((total / counts.clamp_min(1)).flatten(0, 1)) for layer, total in sums.items()}


def _preserved_positions(row: Row) -> tuple[list[int], list[int], list[int]]:
    """Token positions of a fact row's subject end, of the beginning of its answer, and before its target's tokens."""
    subject = [row.subject_end] if row.subject_end >= 0 else []
    target = [row.start - 1 + number for number, on_target in enumerate(row.on_target) if on_target]
    return subject, [row.start - 1], target


def _half(values: Tensor) -> Array:
    return values.detach().float().cpu().numpy().astype(np.float16)
