"""Two operations of decoder layers, done so that short rows do not wait for them: attention, and the norm.

A compile's groups hold a few hundred tokens. There transformers' own attention and norm, a dozen passes over small
tensors each and two dozen more backwards, take a fifth of a step: of a layer of SmolLM2 on 9 rows of 26 tokens after a
prefix of 25 (forwards and backwards, one core) attention 2.2 ms and its two norms .9 of about 13. These give the same
numbers, up to rounding, in .8 and .4. (A whole step, of 728 tokens for 711, went from 1.18 to 1.09 s.)
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

ATTENTION = "homeedit"
"""What transformers knows ``attention`` by."""


def attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, *, scaling: float, **_: Any
) -> tuple[Tensor, None]:
    """Attention of the tokens of queries [rows, heads, length, d_head] to keys and values [rows, groups, seen, d_head].

    The heads of a group are read beside each other instead of the group's keys being copied for each, and the mask
    [rows or 1, 1, length, seen] is added in the product. Softmax in float32, as transformers does. Returns [rows,
    length, heads, d_head], and no weights.
    """
    rows, heads, length, width = query.shape
    groups = key.shape[1]
    of_group = query.reshape(rows * groups, heads // groups * length, width)
    keys, values = (each.reshape(rows * groups, -1, width) for each in (key, value))
    mask = attention_mask[:, 0].repeat(1, heads // groups, 1)
    if len(mask) > 1:
        mask = mask.repeat_interleave(groups, dim=0)
    scores = torch.baddbmm(mask, of_group, keys.transpose(1, 2), alpha=scaling)
    weights = functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    read = torch.bmm(weights, values).view(rows, heads, length, width)
    return read.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, eager_mask)


class QuickNorm(torch.nn.Module):
    """The root mean square norm of Llama and those like it, with a backward pass of its own."""

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        super().__init__()
        self.weight = weight
        self.epsilon = epsilon

    def forward(self, states: Tensor) -> Tensor:
        """States [..., d] divided by the root of their mean square, times the weight [d]; in their dtype."""
        normed: Tensor = _Normed.apply(states, self.weight, self.epsilon)  # type: ignore[no-untyped-call]
        return normed


class _Normed(torch.autograd.Function):
    """w · x / r with r = √(mean x² + ε); its gradient is (w g - x̂ · mean(w g x̂)) / r with x̂ = x / r. Fixed weights."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        wide = states.float()
        inverse = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
        unit = wide * inverse
        ctx.save_for_backward(unit, inverse, weight)
        return weight * unit.to(states.dtype)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:
        unit, inverse, weight = ctx.saved_tensors
        slope = (outer[0] * weight).float()
        along = (slope * unit).mean(-1, keepdim=True)
        return (slope - unit * along).mul_(inverse).to(outer[0].dtype), None, None


def quick_norms(module: torch.nn.Module) -> dict[str, QuickNorm]:
    """What norms of a module, by their names, can be replaced with: those that are not trained themselves, and give the
    same bits for a sample."""
    found: dict[str, QuickNorm] = {}
    for name, norm in module.named_modules():
        epsilon = getattr(norm, "variance_epsilon", None)
        if epsilon is not None and type(norm).__name__.endswith("RMSNorm") and not norm.weight.requires_grad:
            quick = QuickNorm(norm.weight, epsilon)
            sample = torch.linspace(-2, 3, 4 * len(quick.weight)).to(quick.weight).view(4, -1)
            with torch.no_grad():
                if torch.equal(quick(sample), norm(sample)):
                    found[name] = quick
    return found
