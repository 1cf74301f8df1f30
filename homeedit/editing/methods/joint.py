"""The joint recipe: one low-rank change per edited layer, trained on all rows together, kept out of preserved keys.

The change is written in whitened keys, where a unit moves preserved text by a unit whatever its direction, and
trained there by plain momentum descent with steps of a set length. First with every direction free, then, after
a cut to the rank of this many facts, on that rank alone. Only the gradient of the dense change is asked of the
model, so both phases share one training step.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from homeedit.editing.batches import Prepared, RowKeys, batches_of, prepare, row_losses, stacked
from homeedit.editing.devices import solving_device
from homeedit.editing.job import Job
from homeedit.editing.memory import trim
from homeedit.editing.methods.descent import Change, Descent, copied, cut_to_rank
from homeedit.editing.model import EditableModel, Slopes
from homeedit.editing.preserved import Whitening, metric, whiten
from homeedit.editing.recipes import Recipe
from homeedit.editing.workers import Workers, workers_on
from homeedit.progress import Progress

RECALLED = 0.15
"""The loss of a first question's row under which greedy decoding says it back."""
LEARNED = 0.02
"""A fact row's excess under which it is learned."""
LEARNED_MEAN = 0.05
"""The mean excess of each kind of fact rows at which training ends early."""
FADING = 5
"""Steps in which the rate still falls to zero then."""
LOOK_FIRST = 4
LOOK = 24
"""Steps between two looks at the first questions (the first time, and in every repeat, at all of them; then of earlier
facts at those most like the new ones'), and at every fact row: what other rows' steps did to a row that none of them
held is not known else, and the worst rows are not the worst."""
LOOKED_AT_ONCE = 48
"""Rows measured before it is asked whether the rest need be."""
ALIKE = 3
"""Earlier facts for each new one that are watched, as the first it would overwrite."""


@dataclass(slots=True)
class Task:
    """What a joint compile trains on; ``energies`` are tr(W C Wᵀ) per layer, the mean squared size of the layer's
    output on preserved text. Their median is the scale: a layer with massive activations has thousands of times
    the others' energy, and none of that in the directions a change uses."""

    model: EditableModel
    facts: list[Prepared]
    kept: list[Prepared]
    texts: list[Prepared]
    contrasts: list[Prepared]
    whitenings: dict[int, Whitening]
    energies: dict[int, float]
    recipe: Recipe
    generator: torch.Generator
    share: float = 1.0
    """Of a full step's fact and contrast rows: ``Recipe.share_of_rows``."""
    workers: Workers = Workers()

    @property
    def energy(self) -> float:
        """The median layer's energy."""
        return statistics.median(self.energies.values())


def run(job: Job, progress: Progress) -> tuple[dict[int, tuple[Tensor, Tensor]], dict[str, float]]:
    """Compile a job: returns (A, B) per layer and a short report."""
    progress.stage("preparing", len(job.recipe.layers))
    prepared, keys = prepare(job.model, job.rows, progress)
    # Here most is held at once; what preparing and then constraining leave in the heap is not to lie below the rest.
    trim()
    kinds = {kind: [item for item in prepared if item.row.kind == kind] for kind in ("keep", "text", "contrast")}
    facts = [item for item in prepared if not item.row.taught]
    share = job.recipe.share_of_rows(len(job.facts))
    of = (kinds["keep"], kinds["text"], kinds["contrast"])
    task = Task(job.model, facts, *of, {}, {}, job.recipe, job.generator, share)
    for layer in job.recipe.layers:
        _constrain(task, job, layer, keys.pop(layer))
        progress.advance()
    trim()
    with workers_on(job.model.device) as workers:
        task.workers = workers
        changes, report = train(task, progress, len(job.facts))
    return {layer: changes[layer].factors(w.right) for layer, w in task.whitenings.items()}, report


def _constrain(task: Task, job: Job, layer: int, keys: RowKeys) -> None:
    """Fill in a layer's whitening and the scale of its output on preserved text."""
    recipe, model = job.recipe, job.model
    where = solving_device(model.device)
    prefix = model.prefix_keys[layer].to(where).float()
    moment = job.statistics.second_moment(layer).to(where)
    extra = [(recipe.metric_kept, keys.kept.to(where)), (recipe.metric_prefix, prefix)]
    if layer in job.earlier_keys:
        extra.append((recipe.metric_earlier, job.earlier_keys[layer].to(where).float()))
    whole = metric(moment, extra, recipe.metric_ridge)
    found = whiten(whole, prefix, keys.facts.to(where), recipe.most_directions)
    weight = model.edited[layer].weight.to(where).float()
    task.energies[layer] = float(((weight @ moment) * weight).sum())
    task.whitenings[layer] = found.to(model.device)


def train(task: Task, progress: Progress, facts: int) -> tuple[dict[int, Change], dict[str, float]]:
    """Train with all directions, cut to the rank of this many facts, train on. Returns the changes and a report."""
    recipe = task.recipe
    rank = max(recipe.least_rank, recipe.rank_per_fact * facts)
    changes = {
        layer: Change(torch.zeros(task.model.edited[layer].weight.shape[0], len(w.right), device=w.right.device))
        for layer, w in task.whitenings.items()
    }
    steps = recipe.steps_for(facts, sum(item.row.kind == "fact" for item in task.facts))
    free = math.ceil(recipe.free_share * steps)
    rate, hold = recipe.rate_for(facts), recipe.hold_for(facts)
    descent = Descent(math.sqrt(task.energy * len(changes)))
    _look_at_replays(task, changes)
    progress.stage("learning", steps)
    step = 0
    while step < steps:
        if step == free:
            changes = {layer: cut_to_rank(change, rank) for layer, change in changes.items()}
        _step(task, changes, descent, rate * recipe.schedule(step, steps, hold), progress)
        step += 1
        looked = _look(task, changes, step)
        if free < step < steps - FADING and (_is_learned(task.facts) if looked else _proves_learned(task, changes)):
            progress.advance(steps - FADING - step)
            step = steps - FADING
    refresh(task, changes)
    changes = _repeated(task, changes, descent, progress)
    losses = [item.loss for item in task.facts]
    return changes, {"loss": sum(losses) / len(losses), "worst": max(losses)}


def _repeated(task: Task, changes: dict[int, Change], descent: Descent, progress: Progress) -> dict[int, Change]:
    """A few more steps while some first question is not learned; the best of what was found, as what such steps mend
    may cost another row. Leaves the rows' losses as they are there."""
    recipe = task.recipe
    best, worst, is_last = copied(changes), _worst_first(task.facts), True
    for _ in range(recipe.most_repeats):
        if worst < RECALLED:
            break
        progress.stage("repeating what is not learned", recipe.repeat_steps)
        for step in range(recipe.repeat_steps):
            fading = 0.5 * (1 + math.cos(math.pi * step / recipe.repeat_steps))
            _step(task, changes, descent, recipe.repeat_rate * fading, progress)
            _look(task, changes, step + 1)
        refresh(task, changes)
        found = _worst_first(task.facts)
        if is_last := found < worst:
            best, worst = copied(changes), found
    if not is_last:
        refresh(task, best)
    return best


def _look(task: Task, changes: dict[int, Change], step: int) -> bool:
    """Measure fact rows' losses again, if it is time to; whether all were."""
    if step % LOOK == 0:
        refresh(task, changes)
    elif step % LOOK_FIRST == 0:
        firsts = [item for item in task.facts if item.row.first]
        watched = [item for item in firsts if item.row.kind == "fact" or item.watched]
        refresh(task, changes, firsts if step == LOOK_FIRST else watched)
    return step % LOOK == 0


def _proves_learned(task: Task, changes: dict[int, Change]) -> bool:
    """Whether all is learned, by the losses known and then, as rows that no step held may have moved, by measuring them
    again: those first that were worst, until some show that it is not."""
    if not _is_learned(task.facts):
        return False
    rows = sorted(task.facts, key=lambda item: -item.excess)
    for begin in range(0, len(rows), LOOKED_AT_ONCE):
        refresh(task, changes, rows[begin : begin + LOOKED_AT_ONCE])
        if not _is_learned(task.facts):
            return False
    return True


def _look_at_replays(task: Task, changes: dict[int, Change]) -> None:
    """On top of patches, note what every row is before the first step, and which are to be watched.

    Otherwise the first steps would go to rows that are learned, only to see that they are, and the others to
    phrasings that the older facts' own compile could not learn.
    """
    replays = [item for item in task.facts if item.row.kind == "replay"]
    if not replays:
        return
    refresh(task, changes)
    for item in replays:
        item.before = item.loss
    _find_alike(task, [item for item in replays if item.row.first])


def _find_alike(task: Task, earlier: Sequence[Prepared]) -> None:
    """Watch, for each new fact, the earlier ones whose first questions are most like its own.

    They are overwritten first: another craftsman's name by the plumber's. What a question asks for shows in the state
    from which the base's answer begins after the last edited layer, less what all such states share; before the first
    edited layer it does not show yet (README.md).
    """
    own = [item for item in task.facts if item.row.first and item.row.kind == "fact"]
    with task.model.pristine():
        states = _beginnings(task, [*own, *earlier])
    unit = torch.nn.functional.normalize(states - states.mean(0), dim=1)
    for likeness in unit[: len(own)] @ unit[len(own) :].T:
        for index in likeness.topk(min(ALIKE, len(earlier))).indices.tolist():
            earlier[index].watched = True


def _beginnings(task: Task, rows: Sequence[Prepared]) -> Tensor:
    """The states after the last edited layer from which the rows' answers begin: [n, d_model] float32."""
    model = task.model
    found: dict[int, Tensor] = {}

    @torch.no_grad()
    def reached(group: Sequence[int]) -> list[tuple[int, Tensor]]:
        chosen = [rows[index] for index in group]
        states = model.upper(stacked(chosen), chosen[0].row.prefixed, until=max(model.edited))
        return [(index, states[n, rows[index].row.start - 1].float()) for n, index in enumerate(group)]

    for states in task.workers.map(reached, batches_of([item.row for item in rows], task.workers.forward)):
        found |= states
    return torch.stack([found[index] for index in range(len(rows))])


def _worst_first(facts: Sequence[Prepared]) -> float:
    """The worst excess of a first question: of the new facts what is not learned, of the older ones what was lost.

    An older one that was not learned in its own compile is no reason to go on: verify says whether it is recalled.
    """
    return max(item.excess for item in facts if item.row.first)


def _is_learned(facts: Sequence[Prepared]) -> bool:
    """Whether all first questions, and each kind of rows on average, are so well learned (or kept) that only the rate
    has to fade. What the last large steps disturbed of earlier facts comes back while it does."""
    kinds = {item.row.kind for item in facts}
    means = [statistics.fmean(item.excess for item in facts if item.row.kind == kind) for kind in kinds]
    firsts = [item for item in facts if item.row.first]
    near = all(item.excess < (2 * RECALLED if item.row.kind == "replay" else 0.8 * RECALLED) for item in firsts)
    return near and max(means) < LEARNED_MEAN


def _step(task: Task, changes: dict[int, Change], descent: Descent, rate: float, progress: Progress) -> None:
    chosen = choose(task)
    descent.step(changes, gradients(task, changes, chosen), rate)
    losses = [item.loss for item, _ in chosen if not item.row.taught]
    progress.advance(1, f"loss {sum(losses) / len(losses):.2f}")


def choose(task: Task) -> list[tuple[Prepared, float]]:
    """The rows of one step with their weights: the worst rows of each kind and some drawn at random.

    New facts' rows that are learned take no place among the worst, so steps get shorter as facts are learned.
    Earlier facts' rows never wait for a place behind new ones.
    """
    recipe, share = task.recipe, task.share
    chosen: list[tuple[Prepared, float]] = []
    for kind, number in (("fact", recipe.rows_per_step), ("replay", recipe.replays_per_step)):
        rows = [item for item in task.facts if item.row.kind == kind]
        count = math.ceil(share * number)
        again = max(1, count // 6)
        found = _worst_and_drawn(rows, count - again, again, task.generator, LEARNED)
        found += _watched(rows, found, count, again, task.generator)
        chosen += [(item, 1.0 / recipe.rows_per_step) for item in found]
    for rows, number, weight in (
        (task.kept, math.ceil(share * recipe.kept_per_step), recipe.keep_weight),
        (task.texts, math.ceil(share * recipe.texts_per_step), recipe.text_weight),
        (task.contrasts, math.ceil(share * recipe.contrasts_per_step), recipe.contrast_weight),
    ):
        found = _worst_and_drawn(rows, number // 2, number - number // 2, task.generator)
        chosen += [(item, weight / max(1, len(found))) for item in found]
    return chosen


def _watched(
    rows: Sequence[Prepared], found: Sequence[Prepared], count: int, few: int, generator: torch.Generator
) -> list[Prepared]:
    """What is in every step beside the rows ``found``: of earlier facts some of those that will be disturbed first, for
    as many as there is room and at least a few; of new ones, if they are few, the first questions, by which the end
    is judged."""
    near = [item for item in rows if item.watched and item not in found]
    drawn = torch.randperm(len(near), generator=generator)[: max(few, count - len(found))].tolist()
    firsts = [item for item in rows if item.row.first and item.row.kind == "fact"]
    watched = [item for item in firsts if len(firsts) <= few and item not in found]
    return [near[number] for number in drawn] + watched


def _worst_and_drawn(
    rows: Sequence[Prepared], worst: int, drawn: int, generator: torch.Generator, above: float = 0.0
) -> list[Prepared]:
    """The worst rows whose excess is over a bound, and as many of the others, drawn without replacement."""
    order = sorted(rows, key=lambda item: -item.excess)
    hard = [item for item in order[:worst] if item.excess > above]
    rest = order[len(hard) :]
    return [*hard, *(rest[number] for number in torch.randperm(len(rest), generator=generator)[:drawn].tolist())]


def gradients(task: Task, changes: dict[int, Change], chosen: Sequence[tuple[Prepared, float]]) -> dict[int, Tensor]:
    """The loss's gradient [d_model, m] per layer in whitened keys; notes each chosen row's loss.

    The change penalty, ‖change‖² / tr(W C Wᵀ) of the median layer, is the change's share of what a layer says
    of preserved text.
    """
    whitened = {layer: change.whitened() for layer, change in changes.items()}

    def backward(group: Sequence[int]) -> dict[int, list[Slopes]]:
        rows, weights = [chosen[index][0] for index in group], [chosen[index][1] for index in group]
        with task.model.sloping() as slopes:
            losses = _losses(task, rows)
            torch.autograd.backward((losses * torch.tensor(weights, device=losses.device)).sum())
        return slopes

    task.model.change({layer: change.requires_grad_() for layer, change in _dense(task, changes).items()})
    groups = batches_of([item.row for item, _ in chosen], task.workers.tokens)
    found = list(task.workers.map(backward, groups))
    task.model.change(None)
    scale = 2 * task.recipe.change_penalty / task.energy

    def of_layer(group: Sequence[int]) -> Tensor:
        (layer,) = group
        return _gradient([slopes[layer] for slopes in found], task.whitenings[layer]) + scale * whitened[layer]

    # Not rows, but layers beside each other: every core has products of its own to form.
    return dict(zip(changes, task.workers.map(of_layer, [[layer] for layer in changes]), strict=True))


def _gradient(slopes: Sequence[Sequence[Slopes]], whitening: Whitening) -> Tensor:
    """Σ ∂L/∂y kᵀ over all tokens of all groups, in whitened keys: [d_model, m] float32."""
    outer, keys = (torch.cat([pair[side] for group in slopes for pair in group]) for side in (0, 1))
    return (outer.T @ (keys @ whitening.right.to(keys.dtype).T)).float()


def refresh(task: Task, changes: dict[int, Change], rows: Sequence[Prepared] | None = None) -> None:
    """Measure the loss of fact rows (all of them, if none are named) under the changes."""
    measured = task.facts if rows is None else rows

    @torch.no_grad()
    def measure(group: Sequence[int]) -> None:
        _losses(task, [measured[index] for index in group])

    task.model.change(_dense(task, changes))
    groups = batches_of([item.row for item in measured], task.workers.forward)
    for _ in task.workers.map(measure, groups):
        pass
    task.model.change(None)


def _dense(task: Task, changes: dict[int, Change]) -> dict[int, Tensor]:
    """Δ [d_model, d_ff] per layer, of factors in the model's dtype."""
    dtype = task.model.dtype
    factors = {layer: change.factors(task.whitenings[layer].right) for layer, change in changes.items()}
    return {layer: B.to(dtype) @ A.to(dtype) for layer, (A, B) in factors.items()}


def _losses(task: Task, rows: Sequence[Prepared]) -> Tensor:
    """The losses [rows] of a group under the model's change; notes them in the rows."""
    last = task.model.upper(stacked(rows), rows[0].row.prefixed)
    losses = row_losses(task.model, last, rows, task.recipe.floor)
    for item, loss in zip(rows, losses.tolist(), strict=True):
        item.loss = loss
    return losses
