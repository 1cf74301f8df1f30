"""The joint recipe: one change per edited layer, trained on all rows of the batch, kept out of preserved keys.

In three steps: a change B · (whitened keys) trained with KL on kept rows; its cut to low rank in the metric of
the preserved keys; both factors trained on. Only the change's dense gradient is needed of the model, so every
parametrisation shares one training step.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from homeedit.editing.batches import Prepared, RowKeys, batches_of, prepare, row_losses, stacked
from homeedit.editing.job import Job
from homeedit.editing.model import EditableModel
from homeedit.editing.preserved import Whitening, metric, orthonormal, whiten
from homeedit.editing.recipes import Recipe
from homeedit.progress import Progress

RECALLED = 0.15
"""The loss of a first question's row under which greedy decoding says it back."""
LEARNED = 0.02
"""A fact row's loss under which it is learned."""
MOST_TOKENS = 1024
"""Padded tokens a forward and backward pass holds at once."""


@dataclass(slots=True)
class Factors:
    """The change B @ A of one layer: A [r, d_ff] and B [d_model, r], float32."""

    A: Tensor
    B: Tensor

    def dense(self) -> Tensor:
        """Δ = B A, [d_model, d_ff]."""
        return self.B @ self.A


@dataclass(slots=True)
class Task:
    """What a joint compile trains on.

    ``forbidden`` [d_ff, n] are orthonormal directions per layer (the prefix's keys) that A must stay out of;
    ``energy`` is tr(W C Wᵀ) per layer, the scale of the change penalty."""

    model: EditableModel
    facts: list[Prepared]
    kept: list[Prepared]
    contrasts: list[Prepared]
    forbidden: dict[int, Tensor]
    whitenings: dict[int, Whitening]
    energy: dict[int, float]
    recipe: Recipe
    generator: torch.Generator


def run(job: Job, progress: Progress) -> tuple[dict[int, tuple[Tensor, Tensor]], dict[str, float]]:
    """Compile a job: returns (A, B) per layer and a short report."""
    progress.stage("preparing", len(job.recipe.layers))
    prepared, keys = prepare(job.model, job.rows, progress)
    facts = [item for item in prepared if not item.row.taught]
    kept = [item for item in prepared if item.row.kind == "keep"]
    contrasts = [item for item in prepared if item.row.kind == "contrast"]
    task = Task(job.model, facts, kept, contrasts, {}, {}, {}, job.recipe, job.generator)
    for layer in job.recipe.layers:
        _constrain(task, job, layer, keys[layer])
        progress.advance()
    factors, report = train(task, progress, len(job.facts))
    return {layer: (f.A, f.B) for layer, f in factors.items()}, report


def _constrain(task: Task, job: Job, layer: int, keys: RowKeys) -> None:
    """Fill in a layer's whitening, the prefix's directions and the scale of its output on preserved text."""
    recipe, model = job.recipe, job.model
    prefix = model.prefix_keys[layer].float().cpu()
    moment = job.statistics.second_moment(layer)
    extra = [(recipe.metric_kept, keys.kept), (recipe.metric_prefix, prefix)]
    if layer in job.earlier_keys:
        extra.append((recipe.metric_earlier, job.earlier_keys[layer].float().cpu()))
    found = whiten(metric(moment, extra, recipe.metric_ridge), prefix, keys.facts, recipe.most_directions)
    weight = model.edited[layer].weight.float().cpu()
    task.energy[layer] = float(((weight @ moment) * weight).sum())
    task.whitenings[layer] = found.to(model.device)
    task.forbidden[layer] = orthonormal(prefix).to(model.device)


def train(task: Task, progress: Progress, facts: int) -> tuple[dict[int, Factors], dict[str, float]]:
    """Train, cut to the rank of this many facts, recover. Returns the factors per layer and a short report."""
    recipe = task.recipe
    rank = max(recipe.least_rank, recipe.rank_per_fact * facts)
    full = {
        layer: Factors(
            w.right,
            torch.zeros(task.model.edited[layer].weight.shape[0], len(w.right), device=w.right.device),
        )
        for layer, w in task.whitenings.items()
    }
    optimizer = torch.optim.Adam([f.B for f in full.values()], lr=recipe.learning_rate, betas=(0.9, 0.98))
    steps, recovery_steps = recipe.steps_for(facts, len(task.facts))
    progress.stage("learning", steps)
    descend(task, full, optimizer, steps, recipe.warmup, False, progress)
    cut = {layer: cut_to_rank(full[layer].B, w, rank) for layer, w in task.whitenings.items()}
    progress.stage("compressing", recovery_steps)
    recover(task, cut, recovery_steps, 1.0, progress)
    refresh(task, cut)
    for _ in range(recipe.most_repeats):
        if max(item.loss for item in task.facts if item.row.first) < RECALLED:
            break
        progress.stage("repeating what is not learned", recipe.repeat_steps)
        recover(task, cut, recipe.repeat_steps, 0.5, progress)
        refresh(task, cut)
    losses = [item.loss for item in task.facts]
    return cut, {"loss": sum(losses) / len(losses), "worst": max(losses)}


def recover(task: Task, factors: dict[int, Factors], steps: int, share: float, progress: Progress) -> None:
    """Train both factors of every layer, at a share of the recipe's rate; A stays out of the prefix's keys."""
    rate = share * task.recipe.recovery_rate
    groups = [
        {"params": [tensor], "lr": rate * float(tensor.square().mean().sqrt())}
        for f in factors.values()
        for tensor in (f.A, f.B)
    ]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98))
    descend(task, factors, optimizer, steps, 2, True, progress)


def descend(
    task: Task,
    factors: dict[int, Factors],
    optimizer: torch.optim.Optimizer,
    steps: int,
    warmup: int,
    both: bool,
    progress: Progress,
) -> None:
    """Take optimizer steps on the hardest rows, with warm-up and a cosine to zero."""
    base_rates = [group["lr"] for group in optimizer.param_groups]
    for step in range(steps):
        scale = min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group, rate in zip(optimizer.param_groups, base_rates, strict=True):
            group["lr"] = rate * scale
        chosen = choose(task)
        gradients(task, factors, chosen, both)
        if not both:
            penalise(task, factors)
        optimizer.step()
        if both:
            for layer, f in factors.items():
                f.A -= (f.A @ task.forbidden[layer]) @ task.forbidden[layer].T
        facts = [item.loss for item, _ in chosen if not item.row.taught]
        progress.advance(1, f"loss {sum(facts) / len(facts):.2f}")


def choose(task: Task) -> list[tuple[Prepared, float]]:
    """The rows of one step with their weights: the worst rows of each kind and some drawn at random.

    Fact rows that are learned take no place among the worst, so steps get shorter as facts are learned.
    """
    recipe = task.recipe
    again = recipe.rows_per_step // 6
    facts = _worst_and_drawn(task.facts, recipe.rows_per_step - again, again, task.generator, LEARNED)
    half_kept, half_contrasts = recipe.kept_per_step // 2, recipe.contrasts_per_step // 2
    groups = [
        (facts, 1.0 / recipe.rows_per_step),
        (_worst_and_drawn(task.kept, half_kept, half_kept, task.generator), recipe.keep_weight / (2 * half_kept)),
        (
            _worst_and_drawn(task.contrasts, half_contrasts, half_contrasts, task.generator),
            recipe.contrast_weight / (2 * half_contrasts),
        ),
    ]
    return [(item, weight) for group, weight in groups for item in group]


def _worst_and_drawn(
    rows: Sequence[Prepared], worst: int, drawn: int, generator: torch.Generator, above: float = 0.0
) -> list[Prepared]:
    """The worst rows whose latest loss is over a bound, and as many of the others, drawn without replacement."""
    order = sorted(rows, key=lambda item: -item.loss)
    hard = [item for item in order[:worst] if item.loss > above]
    rest = order[len(hard) :]
    return [*hard, *(rest[number] for number in torch.randperm(len(rest), generator=generator)[:drawn].tolist())]


def gradients(task: Task, factors: dict[int, Factors], chosen: Sequence[tuple[Prepared, float]], both: bool) -> None:
    """Set the gradients of B (and of A, if both): the model gives that of the dense change, the chain rule the rest."""
    changes = {layer: f.dense().to(task.model.dtype).requires_grad_() for layer, f in factors.items()}
    task.model.change(changes)
    for group in batches_of([item.row for item, _ in chosen], MOST_TOKENS):
        rows = [chosen[index][0] for index in group]
        last = task.model.upper(stacked(rows), rows[0].row.prefixed)
        losses = row_losses(task.model, last, rows, task.recipe.floor)
        weights = torch.tensor([chosen[index][1] for index in group], device=losses.device)
        torch.autograd.backward((losses * weights).sum())
        for item, loss in zip(rows, losses.tolist(), strict=True):
            item.loss = loss
    for layer, f in factors.items():
        gradient = changes[layer].grad
        assert gradient is not None
        f.B.grad = (gradient @ f.A.to(gradient.dtype).T).float()
        if both:
            f.A.grad = (f.B.to(gradient.dtype).T @ gradient).float()
    task.model.change(None)


def penalise(task: Task, factors: dict[int, Factors]) -> None:
    """Add the gradient of penalty · ‖B‖² / tr(W C Wᵀ): the change's share of what the layer says of preserved text."""
    for layer, f in factors.items():
        assert f.B.grad is not None
        f.B.grad += f.B * (2 * task.recipe.change_penalty / task.energy[layer])


def cut_to_rank(B: Tensor, whitening: Whitening, rank: int) -> Factors:
    """The best rank-r change in the metric of the preserved keys, with balanced factors.

    B [d_model, m] is the change in whitened coordinates, so its plain SVD is the whitened SVD of Δ.
    """
    # On the CPU: not every accelerator has this decomposition.
    left, values, right = (part.to(B.device) for part in torch.linalg.svd(B.cpu(), full_matrices=False))
    root = values[:rank].sqrt()
    return Factors(A=(root[:, None] * right[:rank]) @ whitening.right, B=left[:, :rank] * root)


def refresh(task: Task, factors: dict[int, Factors]) -> None:
    """Measure every fact row's loss under the factors."""
    with torch.no_grad():
        task.model.change({layer: f.dense().to(task.model.dtype) for layer, f in factors.items()})
        for group in batches_of([item.row for item in task.facts], 4 * MOST_TOKENS):
            rows = [task.facts[index] for index in group]
            last = task.model.upper(stacked(rows), rows[0].row.prefixed)
            for item, loss in zip(rows, row_losses(task.model, last, rows, task.recipe.floor).tolist(), strict=True):
                item.loss = loss
        task.model.change(None)
