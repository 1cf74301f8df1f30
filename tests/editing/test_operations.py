"""Attention and norm of our own are those of transformers, forwards and backwards."""

import pytest
import torch
from torch import Tensor
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm, eager_attention_forward

from homeedit.editing.operations import QuickNorm, attention, quick_norms


class Module(torch.nn.Module):
    num_key_value_groups = 3


def gradients(found: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    weights = torch.linspace(-1, 1, found.numel()).view_as(found)
    return torch.autograd.grad((found * weights).sum(), of)


@pytest.mark.parametrize("masks", [1, 2])
def test_attention_reads_what_transformers_reads(masks: int) -> None:
    generator = torch.Generator().manual_seed(1)
    # As they come: a view of [rows, length, heads, width].
    query, key, value = (
        torch.randn(2, length, heads, 8, generator=generator).transpose(1, 2).requires_grad_()
        for length, heads in ((4, 6), (7, 2), (7, 2))
    )
    mask = torch.zeros(masks, 1, 4, 7)
    mask[:, :, :, 4:] = torch.finfo(torch.float32).min * torch.ones(4, 3).triu()
    mask[-1, :, :, 0] = torch.finfo(torch.float32).min
    ours, weights = attention(Module(), query, key, value, mask, scaling=0.3, dropout=0.0)
    theirs, _ = eager_attention_forward(Module(), query, key, value, mask, scaling=0.3)
    assert weights is None and ours.shape == (2, 4, 6, 8)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradients(ours, query, key, value), gradients(theirs, query, key, value))
    changed, _ = attention(Module(), query, key, value, torch.zeros(masks, 1, 4, 7), scaling=0.3)
    assert not torch.allclose(changed, ours), "the mask is of consequence"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norm_is_that_of_transformers(dtype: torch.dtype) -> None:
    theirs = LlamaRMSNorm(16, eps=1e-3).to(dtype)
    theirs.weight.data.uniform_(0.5, 2.0)
    theirs.weight.requires_grad_(False)
    ours = QuickNorm(theirs.weight, 1e-3)
    states = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(2)).to(dtype).requires_grad_()
    assert torch.equal(ours(states), theirs(states))
    torch.testing.assert_close(
        gradients(ours(states), states),
        gradients(theirs(states), states),
        **({"rtol": 0.02, "atol": 0.02} if dtype == torch.bfloat16 else {}),
    )


def test_only_norms_that_compute_the_same_are_replaced() -> None:
    class OtherRMSNorm(LlamaRMSNorm):
        def forward(self, hidden_states: Tensor) -> Tensor:
            return super().forward(hidden_states) + 1

    layers = torch.nn.ModuleDict({"llama": LlamaRMSNorm(8), "gemma": Gemma3RMSNorm(8), "other": OtherRMSNorm(8)})
    layers.requires_grad_(False)
    layers["trained"] = LlamaRMSNorm(8)
    found = quick_norms(layers)
    assert list(found) == ["llama"] and found["llama"].weight is layers["llama"].weight
