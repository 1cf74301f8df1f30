"""The low-rank change of the edited weights, as numbers without a framework."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class LowRank:
    """The change ``B @ A`` of one layer's ``mlp.down_proj``: A [r, d_ff], B [d_model, r], float16."""

    A: Array
    B: Array

    @property
    def rank(self) -> int:
        """r, the number of rows of A."""
        return int(self.A.shape[0])


Delta = dict[int, LowRank]
"""Edited layer → its low-rank change."""


def concatenate(deltas: list[Delta]) -> Delta:
    """Sum deltas exactly by stacking their factors: ranks add, no value changes."""
    layers = sorted({layer for delta in deltas for layer in delta})
    return {
        layer: LowRank(
            A=np.concatenate([delta[layer].A for delta in deltas if layer in delta], axis=0),
            B=np.concatenate([delta[layer].B for delta in deltas if layer in delta], axis=1),
        )
        for layer in layers
    }
