"""How decoder layers of one model differ from each other: how far they look back, and how they turn positions.

All that is read from the transformers model itself, so an architecture of layers of two kinds (Gemma 3), of a sliding
window in all of them (Mistral) or of layers without positions (SmolLM3, whose layers know that themselves) needs no
word of its own here.
"""

from typing import Any

import torch
from torch import Tensor

SLIDING = "sliding_attention"
"""The name that transformers has for layers that look back through a window."""


def layer_kinds(config: Any) -> tuple[str, ...]:
    """The kind of every decoder layer, by the names of transformers' ``layer_types``."""
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        every = SLIDING if getattr(config, "sliding_window", None) else "full_attention"
        kinds = [every] * int(config.num_hidden_layers)
    return tuple(kinds)


def window_of(config: Any, kind: str) -> int | None:
    """How many tokens, itself included, a token of such a layer sees; None for all."""
    return int(config.sliding_window) if kind == SLIDING else None


NOWHERE = 2**30
"""The position of what stands before a row only because others begin later: behind every token, so none sees it."""


def causal_mask(at: Tensor, before: Tensor, window: int | None, like: Tensor) -> Tensor:
    """[rows, 1, length, past + length], added to the attention of tokens at positions ``at`` [rows, length] to others
    at ``before`` [rows, past] and to themselves: 0 where a token may look, the least number elsewhere; dtype and
    device of ``like``."""
    reach = torch.cat([before.expand(len(at), -1), at], dim=1)[:, None, :]
    at = at[:, :, None]
    unseen = reach > at
    if window is not None:
        unseen |= reach <= at - window
    mask = torch.zeros(unseen.shape, dtype=like.dtype, device=like.device)
    return mask.masked_fill_(unseen, torch.finfo(like.dtype).min)[:, None]


def rotary_angles(rotary: Any, hidden: Tensor, position_ids: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Cosines and sines of positions for layers of a kind; models with one set of angles have one for all kinds."""
    found: tuple[Tensor, Tensor]
    if hasattr(rotary, "layer_types"):
        found = rotary(hidden, position_ids, kind)
    else:
        found = rotary(hidden, position_ids)
    return found
