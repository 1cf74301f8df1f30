"""The editor's way through the model gives what the whole model gives."""

import pytest
import torch
from transformers import DynamicCache, LlamaForCausalLM

from homeedit.editing.batches import Prepared, prepare, row_losses, stacked
from homeedit.editing.delta import LowRank, concatenate
from homeedit.editing.generation import continue_prompts
from homeedit.editing.model import Batch
from homeedit.editing.preserved import orthonormal
from homeedit.editing.requests import text_row
from homeedit.progress import Progress
from tests.editing.helpers import PREFIX, editable, row


def test_split_and_cached_pass_equals_the_whole_model(raw: LlamaForCausalLM) -> None:
    ids = torch.tensor([[7, 8, 30, 31], [11, 12, 13, 14]])
    whole = raw(torch.cat([torch.tensor([PREFIX] * 2), ids], dim=1)).logits[:, len(PREFIX) :]
    bare = raw(ids).logits
    model = editable(raw)
    for prefixed, wanted in ((True, whole), (False, bare)):
        hidden = model.upper(model.lower(Batch(ids, prefixed)), prefixed)
        torch.testing.assert_close(model.head.logits(hidden), wanted, rtol=1e-4, atol=1e-4)


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


def test_texts_are_kept_as_answers_are_without_the_prefix(raw: LlamaForCausalLM) -> None:
    ids = [7, 8, 9, 10, 11, 12, 13]
    before = raw(torch.tensor([ids])).logits[0].log_softmax(-1)
    model = editable(raw)
    text = text_row(ids)
    prepared, _ = prepare(model, [text], Progress())
    model.change({layer: torch.randn(32, 48) * 0.3 for layer in (1, 2)})
    loss = row_losses(model, model.upper(stacked(prepared), False), prepared)
    now = raw(torch.tensor([ids])).logits[0].log_softmax(-1)
    divergence = (before.exp() * (before - now)).sum(-1)
    assert float(loss[0]) == pytest.approx(float(divergence[text.start - 1 : -1].mean()), rel=1e-3)


def test_losses_of_mixed_rows_are_each_rows_own(raw: LlamaForCausalLM) -> None:
    model = editable(raw)
    rows = [row([7, 8, 9, 10], 2), row([11, 12, 13], 1, kind="keep"), row([14, 15, 16, 17, 18], 3, kind="replay")]
    prepared, _ = prepare(model, rows, Progress())
    model.change({layer: torch.randn(32, 48) * 0.3 for layer in (1, 2)})

    def losses(items: list[Prepared]) -> torch.Tensor:
        return row_losses(model, model.upper(stacked(items), True), items, floor=0.03)

    torch.testing.assert_close(losses(prepared), torch.cat([losses([item]) for item in prepared]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("most", [1, 20, 1000])
def test_training_reads_a_shortlist_that_holds_every_answer(
    raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("homeedit.editing.batches.MOST_VOCABULARY", most)
    model = editable(raw)
    whole = model.head
    rows = [row([7, 8, 9, 10], 2), row([7, 8, 50, 51, 52], 3, kind="keep"), row([3, 59, 4, 6, 2, 33], 4, False, "text")]
    prepared, _ = prepare(model, rows, Progress())
    answers = sorted({token for each in rows for token in each.answer})
    place = model.head.place
    assert place is not None and (place[answers] >= 0).all()
    assert len(model.head.weight) == min(max(most, len(answers)), 60)
    for item in prepared:
        last = model.upper(stacked([item]), item.row.prefixed)
        short = float(row_losses(model, last, [item])[0])
        model.head, kept = whole, model.head
        full = float(row_losses(model, last, [item])[0])
        model.head = kept
        assert short <= full + 1e-5, "with fewer tokens beside them, answers are likelier"
        assert short == pytest.approx(full, abs=1e-5) or (most < 60 and not item.row.taught)


def test_the_shortlist_holds_what_the_base_finds_likely(raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeedit.editing.batches.MOST_VOCABULARY", 6)
    rows = [row([7, 8, 9], 2), row([20, 21, 22, 9], 3, False)]
    logprobs = [
        raw(torch.tensor([[*(PREFIX if each.prefixed else ()), *each.ids]])).logits[0, -2].log_softmax(-1)
        for each in rows
    ]
    model = editable(raw)
    prepare(model, rows, Progress())
    best = torch.stack(logprobs).amax(0)
    best[9] = torch.inf
    assert model.head.place is not None
    assert (model.head.place >= 0).nonzero()[:, 0].tolist() == sorted(best.topk(6).indices.tolist())


def test_change_kept_out_of_the_prefix_leaves_its_cache_valid(raw: LlamaForCausalLM) -> None:
    model = editable(raw)
    change = {}
    for layer in (1, 2):
        basis = orthonormal(model.prefix_keys[layer])
        free = torch.randn(32, 48) * 0.3
        change[layer] = free - (free @ basis) @ basis.T
    model.change(change)
    ids = torch.tensor([[7, 8, 30]])
    cached = model.head.logits(model.upper(model.lower(Batch(ids, True)), True))
    whole = raw(torch.cat([torch.tensor([PREFIX]), ids], dim=1)).logits[:, len(PREFIX) :]
    torch.testing.assert_close(cached, whole, rtol=1e-3, atol=1e-3)


def test_what_it_stands_on_and_the_change_add_up(raw: LlamaForCausalLM) -> None:
    model = editable(raw)
    linear, key, change = model.edited[1], torch.randn(5, 48), torch.randn(32, 48)
    A, B = torch.randn(3, 48), torch.randn(32, 3)

    def is_weight(weight: torch.Tensor) -> None:
        torch.testing.assert_close(linear(key), key @ weight.T, rtol=1e-4, atol=1e-4)

    model.stand_on({1: LowRank(A.numpy(), B.numpy())})
    is_weight(linear.weight + B @ A)
    model.change({1: change})
    is_weight(linear.weight + B @ A + change)
    with model.pristine():
        is_weight(linear.weight)
    model.change(None)
    is_weight(linear.weight + B @ A)


def test_concatenated_factors_are_the_sum() -> None:
    parts = [{1: LowRank(torch.randn(2, 6).numpy(), torch.randn(4, 2).numpy())} for _ in range(3)]
    whole = concatenate(parts)[1]
    assert whole.rank == 6
    wanted = sum(torch.from_numpy(part[1].B @ part[1].A) for part in parts)
    torch.testing.assert_close(torch.from_numpy(whole.B @ whole.A), wanted)


@pytest.mark.parametrize(
    "prompts",
    [
        [[3, 4, 5], [7, 8, 9, 10, 11]],
        [[3, 4, 5, 6], [3, 4, 8], [3, 4, 9, 10, 11, 12]],  # with a shared beginning
        [[3, 4], [3, 4, 5, 6]],  # one is the beginning of the other
        [[3, 4, 5], [3, 4, 5]],
        [[3]],
    ],
)
def test_continuation_is_what_one_by_one_decoding_gives(raw: LlamaForCausalLM, prompts: list[list[int]]) -> None:
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
