"""Targets of the classic editors: the hidden state wanted where a word of the statement ends, and what is there.

Sources: ROME (arXiv 2202.05262, eq. 4) and MEMIT (arXiv 2210.07229, eq. 16).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock

import torch
from torch import Tensor

from homeedit.editing.batches import (
    ANSWER_SCALE,
    Prepared,
    answer_states,
    batches_of,
    begin_rows,
    row_losses,
    shorten_head,
    stacked,
)
from homeedit.editing.devices import exact
from homeedit.editing.head import best_logprobs
from homeedit.editing.job import Job
from homeedit.editing.model import Begun, EditableModel
from homeedit.editing.requests import Row
from homeedit.editing.workers import GROUP_TOKENS, workers_on
from homeedit.progress import Progress

NORM_CAP = 4.0
"""The change of z is at most this many times the hidden state it is added to (ROME's cap; ENCORE has one too)."""
DECAY = 1e-3
MOST_CONTEXTS = 6
"""Contexts of a fact: its first ones and its bare statement, which is the last."""
FACTS_AT_ONCE = 15
"""Facts whose targets are searched for together: of many, groups of rows are as long as each other."""
LEARNED = 0.05
"""The search for z stops at this mean loss of an answer token (nats), as the published code of MEMIT and AlphaEdit."""


@dataclass(slots=True)
class Asked:
    """The contexts that a fact's key and target are found in, and its essence ("The key is a"), if that is to stay."""

    contexts: list[Prepared]
    essence: list[Prepared]


@dataclass(slots=True)
class Target:
    """A fact's contexts and its found target: ``z`` [d_model], the hidden state wanted after the last edited layer;
    ``loss`` is what was left of the search's loss when it ended."""

    contexts: list[Prepared]
    z: Tensor
    loss: float


def contexts_of(rows: Sequence[Row], facts: int) -> list[Row]:
    """The rows that targets are searched in, of so many facts: of each those in which a place is read, the first ones
    and the last if they are many, and its essence."""
    contexts: list[list[Row]] = [[] for _ in range(facts)]
    essences: list[list[Row]] = [[] for _ in range(facts)]
    for row in rows:
        if row.subject_end >= 0 and row.kind in ("fact", "essence"):
            (contexts if row.kind == "fact" else essences)[row.fact].append(row)
    few = [of if len(of) <= MOST_CONTEXTS else [*of[: MOST_CONTEXTS - 1], of[-1]] for of in contexts]
    return [row for each in zip(few, essences, strict=True) for of in each for row in of]


def asked_of(job: Job, progress: Progress) -> list[Asked]:
    """Every fact's contexts, run through the layers below the edited ones. What competes with the answers' tokens is
    looked for in the first context of each, and what follows its essence."""
    rows = contexts_of(job.rows, len(job.facts))
    asked = [Asked([], []) for _ in job.facts]
    for item in begin_rows(job.model, rows, progress):
        each = asked[item.row.fact]
        (each.contexts if item.row.kind == "fact" else each.essence).append(item)
    firsts = [item for each in asked for item in (each.contexts[0], *each.essence)]
    best = torch.full_like(job.model.head.weight[:, 0], -torch.inf, dtype=torch.float32)
    for group in _grouped(firsts):
        with torch.no_grad():
            last = job.model.upper(stacked(group), group[0].row.prefixed)
        best = torch.maximum(best, best_logprobs(job.model.head, answer_states(last, group)))
    shorten_head(job.model, best, rows)
    return asked


def find_targets(job: Job, progress: Progress) -> list[Target]:
    """A target for every fact, each searched on the model as it stands (MEMIT: all before anything is changed).

    A core takes a few facts to itself: their rows are short, and what is done with one fact's alone is too small.
    """
    asked = asked_of(job, progress)
    targets: list[Target] = []
    one_at_a_time = Lock()

    def stepped() -> None:
        with one_at_a_time:
            progress.advance()

    with workers_on(job.model.device) as workers:
        each = min(FACTS_AT_ONCE, -(-len(asked) // workers.workers))
        parts = [range(at, min(at + each, len(asked))) for at in range(0, len(asked), each)]
        progress.stage("targets", len(parts) * job.recipe.steps)
        tokens = workers.tokens
        for found in workers.map(lambda of: search_targets(job, [asked[at] for at in of], stepped, tokens), parts):
            targets += found
    return targets


def search_report(targets: Sequence[Target]) -> dict[str, float]:
    """How many facts there were, and the mean of what the searches left."""
    return {"facts": float(len(targets)), "search loss": sum(target.loss for target in targets) / len(targets)}


def search_targets(
    job: Job, asked: Sequence[Asked], stepped: Callable[[], None], tokens: int = GROUP_TOKENS
) -> list[Target]:
    """Search, for each fact, the change of the hidden state at the place read that makes the model say the target.

    One vector for all contexts of a fact (MEMIT eq. 16): Adam on the mean loss of the answers' tokens, as they are
    weighed, with weight decay and, weighed by the recipe, the KL of what follows the essence (ROME eq. 4: KL(changed ‖
    unchanged)). The facts have nothing to do with each other but that their rows are run together, at each step at most
    so many padded ``tokens`` from the places read on. The layers up to the last edited one are run once, and so is,
    above it, what stands before the places read. ``stepped`` is called for each of the recipe's steps; what it raises
    ends the search.
    """
    owners = [(number, item) for number, each in enumerate(asked) for item in each.contexts]
    groups = []
    for chosen in batches_of([_from_place(item).row for _, item in owners], tokens):
        numbers, rows = zip(*(owners[index] for index in chosen), strict=True)
        groups.append(_Group.of(job, rows, torch.tensor(numbers, device=job.model.device)))
    searches = [_Search.of(job, each, groups, number) for number, each in enumerate(asked)]
    for _ in range(job.recipe.steps):
        stepped()
        for search in searches:
            search.begin_step()
        for group in groups:
            group.add_losses(job.model, searches)
        for search in searches:
            search.end_step()
        groups = [group.without_learned(searches) for group in groups]
    return [
        Target(list(search.asked.contexts), search.start + search.change.detach(), search.left) for search in searches
    ]


@dataclass(slots=True)
class _Group:
    """Rows of one or several facts that are run together, each from the place read on (``_from_place``): their hidden
    states after the last edited layer, and what they begin with in the layers above."""

    rows: Sequence[Prepared]
    owner: Tensor
    """[rows]: each row's fact."""
    states: Tensor
    """[rows, length, d_model]; the first is that at the place read."""
    begun: Begun
    last_layer: int

    @classmethod
    def of(cls, job: Job, rows: Sequence[Prepared], owner: Tensor) -> "_Group":
        last_layer = max(job.recipe.layers)
        states, begun = _split(job.model, rows, last_layer)
        return cls([_from_place(item) for item in rows], owner, states, begun, last_layer)

    def add_losses(self, model: EditableModel, searches: Sequence["_Search"]) -> None:
        """Add to the losses, and to the gradients of the changes, what these rows have."""
        if not self.rows:
            return
        # Not by indexing, whose gradient several cores add up in any order.
        changes = torch.stack([search.change for search in searches]).index_select(0, self.owner)
        last = model.resume(_moved(self.states, changes), self.begun, self.last_layer)
        scales = torch.tensor([search.scale for search in searches], device=last.device)[self.owner]
        losses = row_losses(model, last, self.rows) * scales
        torch.autograd.backward(losses.sum())
        for number, loss in zip(self.owner.tolist(), losses.tolist(), strict=True):
            searches[number].left += loss

    def without_learned(self, searches: Sequence["_Search"]) -> "_Group":
        """The rows of those facts whose search goes on."""
        stay = [at for at, number in enumerate(self.owner.tolist()) if not searches[number].learned]
        if len(stay) == len(self.rows):
            return self
        rows, chosen = [self.rows[at] for at in stay], torch.tensor(stay, dtype=torch.long, device=self.states.device)
        return replace(
            self, rows=rows, owner=self.owner[chosen], states=self.states[chosen], begun=self.begun.of(chosen)
        )


@dataclass(slots=True)
class _Search:
    """One fact's search: ``start`` [d_model] is the mean hidden state at the place read; ``left`` its loss."""

    asked: Asked
    start: Tensor
    change: Tensor
    optimizer: torch.optim.Optimizer
    scale: float
    """What makes a sum of its rows' losses a mean over tokens."""
    essence: "_Essence | None"
    essence_weight: float
    left: float = math.inf

    @classmethod
    def of(cls, job: Job, asked: Asked, groups: Sequence[_Group], number: int) -> "_Search":
        at_place = torch.cat([group.states[group.owner == number, 0] for group in groups])
        start = at_place.to(torch.promote_types(at_place.dtype, torch.float32)).mean(0)
        change = torch.zeros_like(start, requires_grad=True)
        weighs = job.recipe.essence_weight if asked.essence else 0.0
        return cls(
            asked,
            start,
            change,
            torch.optim.Adam([change], lr=job.recipe.rate),
            ANSWER_SCALE / sum(sum(item.row.weights) for item in asked.contexts),
            _Essence(job.model, asked.essence, max(job.recipe.layers)) if weighs else None,
            weighs,
        )

    @property
    def learned(self) -> bool:
        """Whether its loss is so small that the search is over."""
        return self.left < LEARNED

    def begin_step(self) -> None:
        """Begin a step's loss and gradient with what is not the rows'."""
        if self.learned:
            return
        self.optimizer.zero_grad()
        loss = DECAY * self.change.square().sum() / self.start.square().sum()
        if self.essence is not None:
            loss = loss + self.essence_weight * self.essence.divergence(self.change)
        torch.autograd.backward(loss)
        self.left = loss.item()

    def end_step(self) -> None:
        """Take the step, unless there is no need."""
        if self.learned:
            return
        self.optimizer.step()
        with torch.no_grad():
            self.change.mul_(min(1.0, float(NORM_CAP * self.start.norm() / self.change.norm().clamp_min(1e-9))))


class _Essence:
    """What the model says after a fact's essence row, before and with a change of the hidden state."""

    def __init__(self, model: EditableModel, rows: Sequence[Prepared], last_layer: int) -> None:
        self.model, self.rows, self.last_layer = model, [_from_place(item) for item in rows], last_layer
        self.states, self.begun = _split(model, rows, last_layer)
        with torch.no_grad():
            self.before = self._says(self.states)

    def divergence(self, change: Tensor) -> Tensor:
        """Mean KL(changed ‖ unchanged) over the rows, in nats."""
        says = self._says(_moved(self.states, change))
        return (says.exp() * (says - self.before)).sum(-1).mean()

    def _says(self, states: Tensor) -> Tensor:
        """Log-probabilities [rows, vocabulary] of the token after the essence."""
        last = self.model.resume(states, self.begun, self.last_layer)
        ends = torch.stack([last[number, item.row.start - 1] for number, item in enumerate(self.rows)])
        logits = self.model.head.logits(ends)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)


def observe(
    model: EditableModel, contexts: Sequence[Sequence[Prepared]], layer: int, last: int
) -> tuple[Tensor, Tensor]:
    """Mean keys [facts, d_ff] at a layer and mean hidden states [facts, d_model] after the last one, where each fact's
    contexts are read, as float64 where systems are solved."""
    items = [item for of in contexts for item in of]

    def reached(group: Sequence[int]) -> tuple[Tensor, Tensor]:
        rows = [items[index] for index in group]
        with model.recording() as found:
            hidden = _reached(model, rows, last)
        return exact(_at_place(found[layer][0], rows)), exact(_at_place(hidden, rows))

    with workers_on(model.device) as workers:
        groups = batches_of([item.row for item in items], workers.forward)
        found = list(workers.map(reached, groups))
    order = torch.tensor([index for group in groups for index in group]).argsort()
    keys, states = (torch.cat(each)[order.to(each[0].device)] for each in zip(*found, strict=True))
    counts = [len(of) for of in contexts]
    return _means(keys, counts), _means(states, counts)


def _means(values: Tensor, counts: Sequence[int]) -> Tensor:
    return torch.stack([part.mean(0) for part in torch.split(values, list(counts))])


def _grouped(rows: Sequence[Prepared]) -> list[list[Prepared]]:
    return [[rows[index] for index in group] for group in batches_of([item.row for item in rows], 4096)]


def _from_place(item: Prepared) -> Prepared:
    """A row from the place read on."""
    row, place = item.row, item.row.subject_end
    rest = replace(row, ids=row.ids[place:], start=row.start - place, subject_end=0)
    return replace(item, row=rest, hidden=item.hidden[place:])


def _split(model: EditableModel, rows: Sequence[Prepared], last: int) -> tuple[Tensor, Begun]:
    """Rows' hidden states [rows, length, d_model] after layer ``last`` from the place read on, right-padded, and what
    stands before it."""
    reached = _reached(model, rows, last)
    states = [of[: len(item.row.ids) - 1] for of, item in zip(reached, rows, strict=True)]
    places = [item.row.subject_end for item in rows]
    begun = model.begin([of[:place] for of, place in zip(states, places, strict=True)], rows[0].row.prefixed, last)
    rest = [of[place:] for of, place in zip(states, places, strict=True)]
    return torch.nn.utils.rnn.pad_sequence(rest, batch_first=True), begun


def _reached(model: EditableModel, rows: Sequence[Prepared], last: int) -> Tensor:
    """Hidden states [rows, length, d_model] after layer ``last``, under the change so far."""
    with torch.no_grad():
        return model.upper(stacked(rows), rows[0].row.prefixed, until=last)


def _moved(states: Tensor, change: Tensor) -> Tensor:
    """Hidden states with a change ([d_model], or each row's) added to the first."""
    return torch.cat([states[:, :1] + change.to(states.dtype).expand(len(states), -1)[:, None], states[:, 1:]], dim=1)


def _at_place(states: Tensor, rows: Sequence[Prepared]) -> Tensor:
    """The hidden states [rows, d_model] where the rows are read."""
    places = torch.tensor([item.row.subject_end for item in rows], device=states.device)
    return states[torch.arange(len(rows), device=states.device), places]
