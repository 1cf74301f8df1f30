"""Rows made ready for training: run once through the fixed layers, then batched by length."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from homeedit.editing.head import best_logprobs, shortlist
from homeedit.editing.memory import trim
from homeedit.editing.model import Batch, EditableModel
from homeedit.editing.requests import Row
from homeedit.editing.workers import workers_on
from homeedit.progress import Progress


@dataclass(slots=True, eq=False)
class Prepared:
    """A row with its hidden states [length - 1, d_model] at the first edited layer: its last token predicts nothing.

    ``teacher`` holds the base model's last hidden states [answer, d_model] at the positions that
    predict the answer (keep rows only); ``loss`` is the row's latest loss. ``before`` is what an earlier fact's row
    has under the patches stood on: such a row is not to be learned better than it was, only to be kept. ``watched``
    is an earlier fact's first question that is like a new fact's.
    """

    row: Row
    hidden: Tensor
    teacher: Tensor | None = None
    loss: float = float("inf")
    before: float = 0.0
    watched: bool = False

    @property
    def excess(self) -> float:
        """How much there is to learn, by which hard rows are found."""
        return self.loss - self.before


def batches_of(rows: Sequence[Row], most_tokens: int) -> list[list[int]]:
    """Indexes of rows grouped by prefix and similar length, at most ``most_tokens`` padded tokens a group.

    The largest group first, so that cores that take one after the other are done at about the same time.
    """
    order = sorted(range(len(rows)), key=lambda index: (rows[index].prefixed, len(rows[index].ids), index))
    groups: list[list[int]] = []
    for index in order:
        group = groups[-1] if groups else []
        same = bool(group) and rows[group[0]].prefixed == rows[index].prefixed
        if same and (len(group) + 1) * len(rows[index].ids) <= most_tokens:
            group.append(index)
        else:
            groups.append([index])
    return sorted(groups, key=lambda group: -len(group) * len(rows[group[-1]].ids))


def padded_ids(rows: Sequence[Row], device: torch.device) -> Batch:
    """Right-padded token ids of rows that agree in ``prefixed``."""
    length = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), length, dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
    return Batch(ids.to(device), rows[0].prefixed)


ANSWER_SCALE = 4.0
"""What a fact row's summed loss is divided by. A sum, not a mean over tokens: greedy decoding fails at the one
token that is not learned, however many easy ones follow it."""

TRIM = 8
"""Groups after which what preparing them left in the heap is given back: here most is held at once."""

MOST_KEYS = 4096
"""About how many keys of rows of each kind are held per layer, for the metric and the directions used."""


MOST_VOCABULARY = 8192
"""Tokens that training tells apart, see ``head.py``."""


@dataclass(slots=True)
class RowKeys:
    """A layer's keys of the rows of the facts compiled, and of the kept rows: [n, d_ff] each, in the model's dtype."""

    facts: Tensor
    kept: Tensor

    def of(self, taught: bool) -> Tensor:
        """The kept rows' keys, or the facts'."""
        return self.kept if taught else self.facts


def prepare(model: EditableModel, rows: Sequence[Row], progress: Progress) -> tuple[list[Prepared], dict[int, RowKeys]]:
    """Run rows through the model once: hidden states to start from, teachers of kept rows, keys per edited layer.

    Memory: d_model values per token of all rows and per answer token of kept ones; ``MOST_KEYS`` keys a layer
    and kind (evenly thinned out). Raises Cancelled when asked to stop.
    """
    found: dict[int, Prepared] = {}
    fresh = [index for index, row in enumerate(rows) if row.kind != "replay"]
    keys, places = _room_for_keys(model, rows, fresh)
    best = torch.full((len(model.head.weight),), -torch.inf, device=model.device)

    def passed(group: Sequence[int]) -> tuple[list[tuple[int, Prepared]], Tensor]:
        progress.check()
        indexes = [fresh[number] for number in group]
        chosen = [rows[index] for index in indexes]
        hidden = model.lower(padded_ids(chosen, model.device))
        with torch.no_grad(), model.recording() as recorded:
            last = model.upper(hidden, chosen[0].prefixed)
            said = [last[number, row.start - 1 : len(row.ids) - 1] for number, row in enumerate(chosen)]
            likeliest = best_logprobs(model.head, torch.cat(said)[::3])
        for layer, (seen,) in recorded.items():
            here = seen.cpu()
            for number, (index, row) in enumerate(zip(indexes, chosen, strict=True)):
                positions, place = places[index]
                keys[layer].of(row.taught)[place] = here[number, positions]
        prepared: list[tuple[int, Prepared]] = []
        for number, (index, row) in enumerate(zip(indexes, chosen, strict=True)):
            teacher = said[number].clone() if row.taught else None
            prepared.append((index, Prepared(row, hidden[number, : len(row.ids) - 1].clone(), teacher)))
        return prepared, likeliest

    with workers_on(model.device) as workers, model.pristine():
        groups = workers.map(passed, batches_of([rows[n] for n in fresh], workers.forward))
        for number, (prepared, likeliest) in enumerate(groups, 1):
            found |= prepared
            best = torch.maximum(best, likeliest)
            if number % TRIM == 0:
                trim()
    # Keys of earlier patches' facts are preserved already, so only the states to start from are needed.
    replayed = [index for index, row in enumerate(rows) if row.kind == "replay"]
    found |= zip(replayed, begin_rows(model, [rows[index] for index in replayed], progress), strict=True)
    shorten_head(model, best, rows)
    return [found[index] for index in range(len(rows))], keys


def _room_for_keys(
    model: EditableModel, rows: Sequence[Row], fresh: Sequence[int]
) -> tuple[dict[int, RowKeys], dict[int, tuple[slice, slice]]]:
    """Room for the keys of the rows ``fresh`` in every edited layer; and of each row, by its index, the positions of
    which keys are held (evenly thinned out to ``MOST_KEYS`` a kind) and their place there.

    All at once: as small pieces, joined at the end, they would take twice the memory.
    """
    tokens = {taught: sum(len(rows[n].ids) for n in fresh if rows[n].taught is taught) for taught in (False, True)}
    stride = {taught: max(1, -(-count // MOST_KEYS)) for taught, count in tokens.items()}
    places: dict[int, tuple[slice, slice]] = {}
    counts = {False: 0, True: 0}
    for index in fresh:
        taught, length = rows[index].taught, len(rows[index].ids)
        positions = slice(index % stride[taught], length, stride[taught])
        end = counts[taught] + len(range(*positions.indices(length)))
        places[index] = positions, slice(counts[taught], end)
        counts[taught] = end
    width = model.edited[model.first].weight.shape[1]
    room = {
        layer: RowKeys(*(torch.empty(counts[taught], width, dtype=model.dtype) for taught in (False, True)))
        for layer in model.edited_layers
    }
    return room, places


def begin_rows(model: EditableModel, rows: Sequence[Row], progress: Progress) -> list[Prepared]:
    """Rows with the hidden states to start from, in their order."""
    found: dict[int, Prepared] = {}

    def begun(group: Sequence[int]) -> list[tuple[int, Prepared]]:
        progress.check()
        hidden = model.lower(padded_ids([rows[index] for index in group], model.device))
        lengths = [len(rows[index].ids) - 1 for index in group]
        return [(index, Prepared(rows[index], hidden[n, : lengths[n]].clone())) for n, index in enumerate(group)]

    with workers_on(model.device) as workers:
        for prepared in workers.map(begun, batches_of(rows, workers.forward)):
            found |= prepared
    return [found[index] for index in range(len(rows))]


def shorten_head(model: EditableModel, best: Tensor, rows: Sequence[Row]) -> None:
    """Let the head tell apart the tokens of the rows' answers and those with the highest ``best`` log-probability
    [vocabulary]."""
    wanted = torch.tensor(sorted({token for row in rows for token in row.answer}), device=model.device)
    model.head = model.head.shortened(shortlist(best, wanted, MOST_VOCABULARY))


def stacked(prepared: Sequence[Prepared]) -> Tensor:
    """Hidden states of rows, right-padded: [rows, longest - 1, d_model]."""
    return torch.nn.utils.rnn.pad_sequence([item.hidden for item in prepared], batch_first=True)


def row_losses(model: EditableModel, last: Tensor, prepared: Sequence[Prepared], floor: float = 0.0) -> Tensor:
    """One loss per row. For fact rows the weighted sum of negative log-likelihoods above ``floor`` (see
    ``ANSWER_SCALE``); for rows with a teacher the mean KL(teacher ‖ model) in nats per token.

    ``last`` [rows, longest - 1, d_model] are normed hidden states; returns [rows] float32.
    """
    own = [number for number, item in enumerate(prepared) if not item.row.taught]
    taught = [number for number, item in enumerate(prepared) if item.row.taught]
    losses = last.new_zeros(len(prepared), dtype=torch.float32)
    if own:
        found = _likelihood_losses(model, _chosen_states(last, prepared, own), [prepared[n] for n in own], floor)
        losses = losses.index_put((torch.tensor(own, device=last.device),), found)
    if taught:
        found = _kept_losses(model, _chosen_states(last, prepared, taught), [prepared[n] for n in taught])
        losses = losses.index_put((torch.tensor(taught, device=last.device),), found)
    return losses


def answer_states(last: Tensor, prepared: Sequence[Prepared]) -> Tensor:
    """The states [answer tokens of all rows, d_model] that predict the rows' answers."""
    return _chosen_states(last, prepared, range(len(prepared)))


def _chosen_states(last: Tensor, prepared: Sequence[Prepared], chosen: Sequence[int]) -> Tensor:
    """The states [answer tokens of the chosen rows, d_model] that predict the rows' answers, in one gather."""
    row_index: list[int] = []
    position: list[int] = []
    for number in chosen:
        row = prepared[number].row
        position += range(row.start - 1, len(row.ids) - 1)
        row_index += [number] * len(row.answer)
    return last[torch.tensor(row_index, device=last.device), torch.tensor(position, device=last.device)]


def _likelihood_losses(model: EditableModel, states: Tensor, prepared: Sequence[Prepared], floor: float) -> Tensor:
    wanted = torch.tensor([token for item in prepared for token in item.row.answer], device=states.device)
    weights = [weight / ANSWER_SCALE for item in prepared for weight in item.row.weights]
    return _sum_per_row(model.head.likelihood_losses(states, wanted, floor), weights, prepared)


def _kept_losses(model: EditableModel, states: Tensor, prepared: Sequence[Prepared]) -> Tensor:
    teacher = torch.cat([item.teacher for item in prepared if item.teacher is not None])
    weights = [1 / len(item.row.answer) for item in prepared for _ in item.row.answer]
    return _sum_per_row(model.head.teacher_losses(states, teacher), weights, prepared)


def _sum_per_row(losses: Tensor, weights: Sequence[float], prepared: Sequence[Prepared]) -> Tensor:
    owner = [number for number, item in enumerate(prepared) for _ in item.row.answer]
    weighted = losses * torch.tensor(weights, device=losses.device)
    return losses.new_zeros(len(prepared)).index_add(0, torch.tensor(owner, device=losses.device), weighted)
