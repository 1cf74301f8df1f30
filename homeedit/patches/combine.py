"""Several changes as one: factors stacked, and kept within the rank a matrix can have."""

import numpy as np

from homeedit.editing.delta import Delta, LowRank


def bounded(delta: Delta) -> Delta:
    """The same change with rank at most min(d_model, d_ff) per layer.

    Layers within it stay as they are. In others B·A is multiplied out (in float32, one layer at a time) and
    becomes one factor, beside an identity: exact but for rounding the product to the factors' dtype.
    """
    return {layer: _bounded(change) for layer, change in delta.items()}


def _bounded(change: LowRank) -> LowRank:
    d_model, d_ff = change.B.shape[0], change.A.shape[1]
    if change.rank <= min(d_model, d_ff):
        return change
    product = (change.B.astype(np.float32) @ change.A.astype(np.float32)).astype(change.A.dtype)
    if d_model <= d_ff:
        return LowRank(A=product, B=np.eye(d_model, dtype=change.B.dtype))
    return LowRank(A=np.eye(d_ff, dtype=change.A.dtype), B=product)


def padded(delta: Delta) -> tuple[Delta, int]:
    """The same change with one rank in every layer (zero rows and columns added), and that rank."""
    rank = max(change.rank for change in delta.values())
    return {layer: _padded(change, rank) for layer, change in delta.items()}, rank


def _padded(change: LowRank, rank: int) -> LowRank:
    missing = rank - change.rank
    return LowRank(A=np.pad(change.A, ((0, missing), (0, 0))), B=np.pad(change.B, ((0, 0), (0, missing))))
