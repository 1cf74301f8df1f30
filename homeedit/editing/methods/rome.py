"""ROME (arXiv 2202.05262): one layer, rank one a fact, Δ = Λ (C⁻¹ k*)ᵀ with Λ = (v* − W k*) / ((C⁻¹ k*)ᵀ k*).

v* is wanted of the layer's MLP; since the hidden state is the MLP's output on top of the stream, v* − W k* is what is
missing of the hidden state z after the layer. Several facts are written one after another, each on the weights that
the ones before have left: nothing holds them, as published.
"""

import torch
from torch import Tensor

from homeedit.editing.devices import exact
from homeedit.editing.job import Job
from homeedit.editing.methods.spread import by_inverse_moment
from homeedit.editing.solve import closed_form
from homeedit.editing.targets import Target, asked_of, observe, search_report, search_targets
from homeedit.errors import HomeEditError
from homeedit.progress import Progress


def run(job: Job, progress: Progress) -> tuple[dict[int, tuple[Tensor, Tensor]], dict[str, float]]:
    """Compile a job: returns (A, B) of the one layer and a short report. Raises HomeEditError for more layers."""
    if len(job.recipe.layers) != 1:
        raise HomeEditError("ROME edits one layer; nothing was changed.", "Give one layer, or choose memit.")
    (layer,), model = job.recipe.layers, job.model
    asked = asked_of(job, progress)
    space = by_inverse_moment(job, layer)
    progress.stage("facts", len(asked))
    targets: list[Target] = []
    lefts: list[Tensor] = []
    rights: list[Tensor] = []
    for each in asked:
        (target,) = search_targets(job, [each], progress.check)
        targets.append(target)
        keys, reached = observe(model, [target.contexts], layer, layer)
        A, B = closed_form(keys, exact(target.z) - reached, keys[:0], space, ridge=0.0)
        rights.append(A.float().to(model.device))
        lefts.append(B.float().to(model.device))
        model.change({layer: (torch.cat(lefts, dim=1) @ torch.cat(rights)).to(model.dtype)})
        progress.advance()
    model.change(None)
    return {layer: (torch.cat(rights), torch.cat(lefts, dim=1))}, search_report(targets)
