"""MEMIT's way from targets to weights: the residual spread over the layers, each layer solved in turn.

Source: MEMIT (arXiv 2210.07229, algorithm 1). What a layer preserves, and how, is a part that a method names.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from homeedit.editing.devices import exact, solving_device
from homeedit.editing.job import Job
from homeedit.editing.preserved import InverseMoment, NullSpace, inverse_moment, null_space, orthonormal
from homeedit.editing.solve import KeyMap, closed_form
from homeedit.editing.targets import Target, observe
from homeedit.errors import HomeEditError
from homeedit.progress import Progress

Factors = dict[int, tuple[Tensor, Tensor]]
"""(A [n, d_ff], B [d_model, n]) per edited layer."""

Preserving = Callable[[Job, int], KeyMap]
"""How a layer's preserved keys are held."""


def by_inverse_moment(job: Job, layer: int) -> InverseMoment:
    """As ROME and MEMIT do: keys read through C⁻¹. Raises HomeEditError when C has none."""
    try:
        return inverse_moment(_second_moment(job, layer))
    except ValueError as error:
        raise HomeEditError(
            f"The second moment of layer {layer} has no inverse: its statistics are of too little text.",
            "Make the statistics again with `homeedit init`, or choose alphaedit.",
        ) from error


def _second_moment(job: Job, layer: int) -> Tensor:
    return job.statistics.second_moment(layer).to(solving_device(job.model.device)).double()


def by_null_space(job: Job, layer: int) -> NullSpace:
    """As AlphaEdit does: leading directions of C projected out. The prefix's keys too: its attention cache is
    computed once and must stay true under the change."""
    space = null_space(_second_moment(job, layer), job.recipe.threshold)
    prefix = exact(job.model.prefix_keys[layer])
    return NullSpace(torch.cat([space.directions, orthonormal(space.project(prefix))], dim=1))


def spread(job: Job, targets: Sequence[Target], preserving: Preserving, progress: Progress) -> Factors:
    """Solve layer after layer: each takes its share r / (layers left) of what is still missing at the last one."""
    layers = sorted(job.recipe.layers)
    progress.stage("solving", len(layers))
    factors: Factors = {}
    for number, layer in enumerate(layers):
        factors[layer] = _solve_layer(job, targets, layer, preserving(job, layer), len(layers) - number)
        job.model.change({at: (B @ A).to(job.model.dtype) for at, (A, B) in factors.items()})
        progress.advance()
    job.model.change(None)
    return factors


def _solve_layer(
    job: Job, targets: Sequence[Target], layer: int, space: KeyMap, layers_left: int
) -> tuple[Tensor, Tensor]:
    """Measure keys and residuals anew under the change so far, and solve this layer in float64."""
    contexts = [target.contexts for target in targets]
    keys, reached = observe(job.model, contexts, layer, max(job.recipe.layers))
    residuals = (exact(torch.stack([target.z for target in targets])) - reached) / layers_left
    earlier = job.earlier_keys.get(layer, keys[:0]).to(keys.device, keys.dtype)
    A, B = closed_form(keys, residuals, earlier, space, job.recipe.ridge)
    return A.float().to(job.model.device), B.float().to(job.model.device)
