"""All that is checked before a patch from elsewhere is stored or applied."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from homeedit.editing.delta import Array
from homeedit.errors import HomeEditError
from homeedit.patches.container import damaged, read_header, read_tensors
from homeedit.patches.file import Patch, factor_name, factor_shapes, patch_id, read_patch

MOST_NORM = 1000.0
"""Largest Frobenius norm of one layer's change ΔW = B·A. SmolLM2's own down_proj weights have about 180,
edits of tens of facts a few per cent of that: what is beyond would only destroy the model."""


def check_patch(file: Path, *, fingerprint: str, edited_layers: Collection[int], d_model: int, d_ff: int) -> Patch:
    """Check all that an import needs: container, metadata, facts, base, names, shapes, dtypes, values, norms.

    Memory: the patch's tensors once. Raises HomeEditError, a different one for each thing that is wrong.
    """
    patch = read_patch(file)
    if patch.fingerprint != fingerprint:
        raise HomeEditError(
            f"{file.name} was compiled for another base model ({patch.base}, {patch.fingerprint[:12]}…;"
            f" this home's is {fingerprint[:12]}…). Nothing was changed.",
            "Switch to that base model, or type its facts here and compile them: "
            + "; ".join(fact.sentence for fact in patch.facts[:3]),
        )
    try:
        _check_shapes(file, edited_layers, d_model, d_ff)
        _check_values(patch, file)
    except HomeEditError as error:
        raise error if error.hint else damaged(file, error.message) from error
    return patch


def _check_shapes(file: Path, edited_layers: Collection[int], d_model: int, d_ff: int) -> None:
    header = read_header(file)
    for layer, (a, b) in factor_shapes(header).items():
        if layer not in edited_layers:
            allowed = ", ".join(str(number) for number in sorted(edited_layers))
            raise HomeEditError(f"it changes layer {layer}; this base model is edited in layers {allowed}")
        if len(a) != 2 or len(b) != 2 or a[1] != d_ff or b[0] != d_model:
            raise HomeEditError(
                f"the factors of layer {layer} have shapes {list(a)} and {list(b)};"
                f" this base model needs [r, {d_ff}] and [{d_model}, r]"
            )
        if a[0] != b[1]:
            raise HomeEditError(f"the factors of layer {layer} have different ranks, {a[0]} and {b[1]}")
        if not 1 <= a[0] <= min(d_model, d_ff):
            raise HomeEditError(f"the change of layer {layer} has rank {a[0]}; 1 to {min(d_model, d_ff)} are possible")
    for name, entry in header.tensors.items():
        if name.startswith("keys."):
            if int(name.removeprefix("keys.")) not in edited_layers:
                raise HomeEditError(f"it has keys of layer {name.removeprefix('keys.')}, which is not edited")
            if len(entry.shape) != 2 or entry.shape[1] != d_ff:
                raise HomeEditError(f"{name} has shape {list(entry.shape)} instead of [n, {d_ff}]")


def _check_values(patch: Patch, file: Path) -> None:
    tensors = read_tensors(file, read_header(file).tensors)
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise HomeEditError(f"{name} holds values that are not finite numbers (NaN or infinity)")
    if patch_id(tensors, patch.facts) != patch.id:
        raise HomeEditError(f"its contents do not belong to the id {patch.id} in its name: it was changed")
    for layer in patch.layers:
        norm = change_norm(tensors[factor_name(layer, "A")], tensors[factor_name(layer, "B")])
        if not norm <= MOST_NORM:
            raise HomeEditError(
                f"its change of layer {layer} is too large: norm {norm:.3g}, at most {MOST_NORM:g} is allowed"
            )


def change_norm(a: Array, b: Array) -> float:
    """‖B·A‖ (Frobenius) from A [r, d_ff] and B [d_model, r] through r×r matrices: ‖BA‖² = tr(BᵀB · AAᵀ)."""
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    return float(np.sqrt(max(0.0, float(np.sum((b64.T @ b64) * (a64 @ a64.T))))))
