"""The closed form of AlphaEdit, solved over the facts instead of over d_ff.

AlphaEdit (arXiv 2410.02355, eq. 14): Δ = R K1ᵀ P (Kp Kpᵀ P + K1 K1ᵀ P + λ I)⁻¹, with P the projector on the
null space of preserved keys. P is symmetric and idempotent, so with K = [K1 Kp] (columns are keys) and
R = [R 0] the same change is R (Kᵀ P K + λ I)⁻¹ Kᵀ P: a solve of n × n, n the number of keys.
"""

import torch
from torch import Tensor

from homeedit.editing.preserved import NullSpace


def closed_form(
    keys: Tensor, residuals: Tensor, earlier: Tensor, space: NullSpace, ridge: float
) -> tuple[Tensor, Tensor]:
    """The change as factors (A [n1, d_ff], B [d_model, n1]), Δ = B A: its rank is that of the new facts alone.

    ``keys`` K1 [n1, d_ff], ``residuals`` [n1, d_model] (rows), ``earlier`` Kp [np, d_ff] whose outputs must
    not move; n = n1 + np. Memory n d_ff; time n² d_ff + n³. Computes in the dtype of ``keys`` (use float64).
    """
    projected = space.project(torch.cat([keys, earlier]))
    gram = projected @ projected.T
    gram.diagonal().add_(ridge)
    selected: Tensor = torch.linalg.solve(gram, torch.eye(len(gram), len(keys), dtype=gram.dtype)).T
    return selected @ projected, residuals.T
