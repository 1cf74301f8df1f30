"""The editor's way through the model gives what the whole model gives."""

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from homeedit.base.architecture import architecture_named
from homeedit.editing.batches import prepare, row_losses, stacked
from homeedit.editing.delta import LowRank, concatenate
from homeedit.editing.generation import continue_prompts
from homeedit.editing.model import Batch, EditableModel
from homeedit.editing.preserved import orthonormal
from homeedit.editing.requests import Row
from homeedit.progress import Progress

PREFIX = (1, 5, 9, 2)


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


def editable(raw: LlamaForCausalLM) -> EditableModel:
    return EditableModel(raw, architecture_named("llama"), (1, 2), PREFIX)


def row(ids: list[int], start: int, prefixed: bool = True, kind: str = "fact") -> Row:
    return Row(tuple(ids), start, (1.0,) * (len(ids) - start), kind, 0, prefixed)  # type: ignore[arg-type]


def test_split_and_cached_pass_equals_the_whole_model(raw: LlamaForCausalLM) -> None:
    ids = torch.tensor([[7, 8, 30, 31], [11, 12, 13, 14]])
    whole = raw(torch.cat([torch.tensor([PREFIX] * 2), ids], dim=1)).logits[:, len(PREFIX) :]
    bare = raw(ids).logits
    model = editable(raw)
    for prefixed, wanted in ((True, whole), (False, bare)):
        hidden = model.upper(model.lower(Batch(ids, prefixed)), prefixed)
        torch.testing.assert_close(model.logits(hidden), wanted, rtol=1e-4, atol=1e-4)


def test_padding_does_not_change_a_rows_loss(raw: LlamaForCausalLM) -> None:
    model = editable(raw)
    rows = [row([7, 8, 9, 10], 2), row([7, 8, 9, 10, 11, 12, 13], 3)]
    prepared, _ = prepare(model, rows, Progress())
    together = row_losses(model, model.upper(stacked(prepared), True), prepared)
    alone = torch.cat([row_losses(model, model.upper(stacked([item]), True), [item]) for item in prepared])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert together.min() > 0


def test_kept_rows_have_no_divergence_until_something_changes(raw: LlamaForCausalLM) -> None:
    model = editable(raw)
    prepared, _ = prepare(model, [row([7, 8, 9, 10], 2, kind="keep")], Progress())

    def loss() -> float:
        return float(row_losses(model, model.upper(stacked(prepared), True), prepared)[0])

    assert loss() == pytest.approx(0, abs=1e-5)
    model.change({layer: torch.randn(32, 48) * 0.3 for layer in (1, 2)})
    assert loss() > 1e-3


def test_teachers_are_the_base_even_on_top_of_patches(raw: LlamaForCausalLM) -> None:
    rows = [row([7, 8, 9, 10], 2, kind="keep")]
    base_teacher = prepare(editable(raw), rows, Progress())[0][0].teacher
    model = editable(raw)
    factors = LowRank(torch.randn(3, 48).numpy(), torch.randn(32, 3).numpy())
    model.stand_on({1: factors})
    prepared, _ = prepare(model, rows, Progress())
    torch.testing.assert_close(prepared[0].teacher, base_teacher)
    assert float(row_losses(model, model.upper(stacked(prepared), True), prepared)[0]) > 1e-3


def test_change_kept_out_of_the_prefix_leaves_its_cache_valid(raw: LlamaForCausalLM) -> None:
    model = editable(raw)
    change = {}
    for layer in (1, 2):
        basis = orthonormal(model.prefix_keys[layer])
        free = torch.randn(32, 48) * 0.3
        change[layer] = free - (free @ basis) @ basis.T
    model.change(change)
    ids = torch.tensor([[7, 8, 30]])
    cached = model.logits(model.upper(model.lower(Batch(ids, True)), True))
    whole = raw(torch.cat([torch.tensor([PREFIX]), ids], dim=1)).logits[:, len(PREFIX) :]
    torch.testing.assert_close(cached, whole, rtol=1e-3, atol=1e-3)


def test_fixed_factors_and_change_add_up(raw: LlamaForCausalLM) -> None:
    model = editable(raw)
    linear = model.edited[1]
    A, B, change = torch.randn(3, 48), torch.randn(32, 3), torch.randn(32, 48)
    linear.factors, linear.change = (A, B), change
    key = torch.randn(5, 48)
    torch.testing.assert_close(linear(key), key @ (linear.weight + B @ A + change).T, rtol=1e-4, atol=1e-4)


def test_concatenated_factors_are_the_sum() -> None:
    parts = [{1: LowRank(torch.randn(2, 6).numpy(), torch.randn(4, 2).numpy())} for _ in range(3)]
    whole = concatenate(parts)[1]
    assert whole.rank == 6
    wanted = sum(torch.from_numpy(part[1].B @ part[1].A) for part in parts)
    torch.testing.assert_close(torch.from_numpy(whole.B @ whole.A), wanted)


def test_continuation_is_what_one_by_one_decoding_gives(raw: LlamaForCausalLM) -> None:
    prompts = [[3, 4, 5], [7, 8, 9, 10, 11]]
    found = continue_prompts(raw, prompts, 6, end=0, tick=Progress().check)
    for prompt, tokens in zip(prompts, found, strict=True):
        ids = list(prompt)
        for token in tokens:
            logits = raw(torch.tensor([ids]), past_key_values=DynamicCache(config=raw.config)).logits[0, -1]
            assert token == int(logits.argmax())
            ids.append(token)


def test_sampling_follows_its_seed(raw: LlamaForCausalLM) -> None:
    def draw(seed: int) -> list[list[int]]:
        return continue_prompts(raw, [[3, 4]] * 3, 8, 0, Progress().check, torch.Generator().manual_seed(seed))

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
