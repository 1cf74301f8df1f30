"""Link: the enabled patches as one change."""

from collections.abc import Sequence

from homeedit.editing.delta import Delta, concatenate
from homeedit.errors import HomeEditError
from homeedit.patches.file import Patch, load_delta


def link_order(patches: Sequence[Patch]) -> list[Patch]:
    """The order in which patches are summed: created, then id; whatever order they came in."""
    return sorted({patch.id: patch for patch in patches}.values(), key=lambda patch: (patch.created, patch.id))


def link(patches: Sequence[Patch]) -> Delta:
    """Sum the patches' changes exactly, by stacking their factors; no patches give an empty delta.

    Memory: 2 × (d_model + d_ff) bytes per rank and edited layer. Raises HomeEditError when a patch cannot be
    read or its shapes do not fit the others'.
    """
    ordered = link_order(patches)
    deltas = [load_delta(patch) for patch in ordered]
    sizes: dict[int, tuple[int, int]] = {}
    for patch, delta in zip(ordered, deltas, strict=True):
        for layer, change in delta.items():
            size = (change.B.shape[0], change.A.shape[1])
            if sizes.setdefault(layer, size) != size:
                raise HomeEditError(
                    f"Patch {patch.id} changes a weight of shape {size} in layer {layer};"
                    f" other patches have {sizes[layer]} there.",
                    f"It is for another base model; switch it off: homeedit patch revert {patch.id}",
                )
    return concatenate(deltas)
