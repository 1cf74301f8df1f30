"""A tiny random model without files, and the tiny base with its tokenizer and statistics."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from homeedit.base.load import load_tokenizer
from homeedit.base.store import BaseModel
from homeedit.editing.requests import ChatTokens
from homeedit.editing.statistics import have_statistics, make_statistics
from homeedit.progress import Progress


@pytest.fixture
def raw() -> LlamaForCausalLM:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=60,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def base(tiny_base: BaseModel) -> BaseModel:
    """The tiny base with statistics of its own."""
    if not have_statistics(tiny_base):
        make_statistics(tiny_base, seed=0, device="cpu", threads=1, progress=Progress())
    return tiny_base


@pytest.fixture(scope="session")
def chat(tiny_base: BaseModel) -> ChatTokens:
    return ChatTokens(load_tokenizer(tiny_base))
