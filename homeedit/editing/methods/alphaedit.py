"""AlphaEdit as published, in its cheap form: find z at the subject's last token, spread the residual, solve.

Source: AlphaEdit (arXiv 2410.02355) on MEMIT's targets and residual spread (arXiv 2210.07229, eq. 14-20).
Chat turns are among the contexts, and all facts of the compile are solved together. Left out of MEMIT's
search for z is its KL on the subject's essence: keep rows are measured after the compile instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from homeedit.editing.batches import Prepared, batches_of, prepare, row_losses, stacked
from homeedit.editing.job import Job
from homeedit.editing.model import EditableModel
from homeedit.editing.preserved import NullSpace, null_space, orthonormal
from homeedit.editing.solve import closed_form
from homeedit.progress import Progress

NORM_CAP = 4.0
"""The change of z is at most this many times the hidden state it is added to (ENCORE's and MEMIT's cap)."""
DECAY = 1e-3
MOST_CONTEXTS = 6
"""Contexts of a fact: its first questions and its bare statement."""
LEARNED = 0.05
"""The search for z stops at this mean loss."""


@dataclass(slots=True)
class Target:
    """A fact's contexts and its found target: ``z`` [d_model], the hidden state wanted after the last edited layer."""

    contexts: list[Prepared]
    z: Tensor


def run(job: Job, progress: Progress) -> tuple[dict[int, tuple[Tensor, Tensor]], dict[str, float]]:
    """Compile a job: returns (A, B) per layer and a short report."""
    prepared, _ = prepare(job.model, job.rows, progress)
    contexts: list[list[Prepared]] = [[] for _ in job.facts]
    for item in prepared:
        if item.row.kind == "fact" and item.row.subject_end >= 0:
            contexts[item.row.fact].append(item)
    progress.stage("targets", len(contexts))
    targets = []
    for found in contexts:
        targets.append(find_target(job, [*found[: MOST_CONTEXTS - 1], found[-1]]))
        progress.advance()
    progress.stage("solving", len(job.recipe.layers))
    factors: dict[int, tuple[Tensor, Tensor]] = {}
    for number, layer in enumerate(job.recipe.layers):
        factors[layer] = _solve_layer(job, targets, layer, len(job.recipe.layers) - number)
        job.model.change({at: (B @ A).to(job.model.dtype) for at, (A, B) in factors.items()})
        progress.advance()
    job.model.change(None)
    return factors, {"facts": float(len(targets))}


def find_target(job: Job, contexts: Sequence[Prepared]) -> Target:
    """Search the change of the hidden state at the subject's last token that makes the model say the target.

    One vector for all contexts (MEMIT eq. 16): Adam on the mean loss of the rows with weight decay; the
    layers up to the last edited one are run once.
    """
    model, last_layer = job.model, max(job.recipe.layers)
    groups = [[contexts[index] for index in group] for group in batches_of([c.row for c in contexts], 4096)]
    with torch.no_grad():
        hidden = [model.upper(stacked(group), group[0].row.prefixed, until=last_layer) for group in groups]
    at_subject = torch.cat([_at_subject(states, group) for states, group in zip(hidden, groups, strict=True)])
    start = at_subject.float().mean(0)
    change = torch.zeros_like(start, requires_grad=True)
    optimizer = torch.optim.Adam([change], lr=job.recipe.rate)
    for _ in range(job.recipe.steps):
        optimizer.zero_grad()
        loss = DECAY * change.square().sum() / start.square().sum()
        for states, group in zip(hidden, groups, strict=True):
            moved = states.index_put(
                (torch.arange(len(group)), torch.tensor([item.row.subject_end for item in group])),
                change.to(states.dtype),
                accumulate=True,
            )
            final = model.resume(moved, group[0].row.prefixed, after=last_layer)
            loss = loss + row_losses(model, final, group).sum() / len(contexts)
        if loss.item() < LEARNED:
            break
        torch.autograd.backward(loss)
        optimizer.step()
        with torch.no_grad():
            change.mul_(min(1.0, float(NORM_CAP * start.norm() / change.norm().clamp_min(1e-9))))
    return Target(list(contexts), start + change.detach())


def _solve_layer(job: Job, targets: Sequence[Target], layer: int, layers_left: int) -> tuple[Tensor, Tensor]:
    """Measure keys and residuals anew under the change so far, and solve this layer in float64 on the CPU."""
    keys, residuals = [], []
    for target in targets:
        key, reached = _observe(job.model, target.contexts, layer, max(job.recipe.layers))
        keys.append(key)
        residuals.append((target.z.cpu().double() - reached) / layers_left)
    space = null_space(job.statistics.second_moment(layer).double(), job.recipe.threshold)
    # The prefix's keys too: its attention cache is computed once and must stay true under the change.
    prefix = job.model.prefix_keys[layer].cpu().double()
    space = NullSpace(torch.cat([space.directions, orthonormal(space.project(prefix))], dim=1))
    K1 = torch.stack(keys)
    earlier = job.earlier_keys.get(layer, K1.new_zeros(0, K1.shape[1])).cpu().double()
    A, B = closed_form(K1, torch.stack(residuals), earlier, space, job.recipe.ridge)
    return A.float().to(job.model.device), B.float().to(job.model.device)


def _observe(model: EditableModel, contexts: Sequence[Prepared], layer: int, last: int) -> tuple[Tensor, Tensor]:
    """Mean key [d_ff] at a layer and mean hidden state [d_model] after the last one, at the subject's last token."""
    keys, states = [], []
    for group in batches_of([item.row for item in contexts], 4096):
        rows = [contexts[index] for index in group]
        with torch.no_grad(), model.recording() as found:
            hidden = model.upper(stacked(rows), rows[0].row.prefixed, until=last)
        keys.append(_at_subject(found[layer][0], rows))
        states.append(_at_subject(hidden, rows))
    return torch.cat(keys).cpu().double().mean(0), torch.cat(states).cpu().double().mean(0)


def _at_subject(states: Tensor, rows: Sequence[Prepared]) -> Tensor:
    return torch.stack([states[number, item.row.subject_end] for number, item in enumerate(rows)])
