"""Merge: an edited weight from the pristine one and the linked change."""

import numpy as np
from numpy.typing import NDArray

from homeedit.editing.delta import LowRank
from homeedit.errors import HomeEditError


def merge(weight: NDArray[np.float16], change: LowRank) -> NDArray[np.float16]:
    """W + B·A: product and sum in float32, one cast to float16. ``weight`` [d_model, d_ff] is not written.

    Memory: two float32 matrices of the weight's size. Raises HomeEditError for shapes that do not fit and for
    a sum that float16 cannot hold.
    """
    if weight.shape != (change.B.shape[0], change.A.shape[1]):
        raise HomeEditError(
            f"A change for weights of shape {(change.B.shape[0], change.A.shape[1])} was linked with a weight"
            f" of shape {weight.shape}. No build was made.",
            "A patch is for another base model: look at homeedit patch list.",
        )
    total = change.B.astype(np.float32) @ change.A.astype(np.float32)
    total += weight
    with np.errstate(over="ignore"):
        merged = total.astype(np.float16)
    if not np.isfinite(merged).all():
        raise HomeEditError(
            "The sum of the enabled patches is too large for float16. No build was made.",
            "Switch off the newest patch (homeedit patch revert), or compile all facts anew: --consolidate.",
        )
    return merged
