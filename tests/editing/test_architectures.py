"""Every architecture through the editor: its layers piece by piece, a compile from facts to answers, its exports."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from homeedit.base.architecture import ARCHITECTURES, architecture_named
from homeedit.base.load import load_model, load_tokenizer
from homeedit.base.store import BaseModel
from homeedit.editing.compile import Compiled, compile_facts
from homeedit.editing.generation import continue_prompts
from homeedit.editing.head import head_of
from homeedit.editing.layers import NOWHERE, causal_mask, layer_kinds
from homeedit.editing.model import Batch, EditableModel
from homeedit.editing.operations import ATTENTION
from homeedit.editing.recipes import recipe_for
from homeedit.editing.requests import ChatTokens, fact_rows, statement_row, text_row
from homeedit.editing.statistics import Statistics, make_statistics
from homeedit.progress import Progress
from tests.editing.architectures import NAMES, VARIANTS, at_any_cost, random_base
from tests.editing.helpers import CODE, KEY

PREFIX = tuple(range(20, 32))
IDS = torch.arange(40, 100).view(3, 20)
"""Prefix and row together are four windows long."""


def test_every_architecture_of_the_map_is_tested() -> None:
    assert set(NAMES) == set(ARCHITECTURES)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BaseModel]:
    """A variant's random base, made once."""
    folder, made = tmp_path_factory.mktemp("architectures"), dict[str, BaseModel]()

    def base(variant: str) -> BaseModel:
        if variant not in made:
            name, sizes = VARIANTS[variant]
            made[variant] = random_base(folder / variant, name, **sizes)
        return made[variant]

    return base


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest, bases: Callable[[str], BaseModel]) -> BaseModel:
    return bases(request.param)


def close(found: Tensor, wanted: Tensor) -> None:
    """Equal to 1e-5 of the largest value."""
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


def logits(raw: Any, ids: Tensor) -> Tensor:
    found: Tensor = raw(ids, past_key_values=DynamicCache(config=raw.config)).logits
    return found


def test_the_layers_piece_by_piece_are_the_whole_model(variant: BaseModel) -> None:
    raw = load_model(variant, "cpu", torch.float32)
    raw.set_attn_implementation("eager")
    prefix = torch.tensor([PREFIX] * len(IDS))
    with torch.no_grad():
        wanted = {True: logits(raw, torch.cat([prefix, IDS], 1))[:, len(PREFIX) :], False: logits(raw, IDS)}
    model = EditableModel(raw, architecture_named(variant.architecture), variant.edited_layers, PREFIX)
    for prefixed, expected in wanted.items():
        with torch.no_grad():
            hidden = model.lower(Batch(IDS, prefixed))
            close(model.head.logits(model.upper(hidden, prefixed)), expected)


@pytest.mark.parametrize("done", [(0, 0, 0), (3, 3, 3), (0, 15, 3)])
def test_rows_go_on_from_where_each_of_them_began(variant: BaseModel, done: tuple[int, ...]) -> None:
    raw = load_model(variant, "cpu", torch.float32)
    model = EditableModel(raw, architecture_named(variant.architecture), (0,), PREFIX)
    chosen = torch.tensor([2, 0])
    for prefixed in (True, False):
        with torch.no_grad():
            hidden = model.lower(Batch(IDS, prefixed))
            expected = model.upper(hidden, prefixed)
            middle = model.upper(hidden, prefixed, until=0)
            begun = model.begin([states[:at] for states, at in zip(middle, done, strict=True)], prefixed, after=0)
            rest = [states[at:] for states, at in zip(middle, done, strict=True)]
            padded = torch.nn.utils.rnn.pad_sequence(rest, batch_first=True, padding_value=7.0)
            last = model.resume(padded, begun, after=0)
            few = model.resume(padded[chosen], begun.of(chosen), after=0)
        for row, at in enumerate(done):
            close(last[row, : IDS.shape[1] - at], expected[row, at:])
        torch.testing.assert_close(few, last[chosen])


def test_released_it_is_the_model_it_was(variant: BaseModel) -> None:
    raw = load_model(variant, "cpu", torch.float32)
    before, modules = logits(raw, IDS), dict(raw.named_modules())
    model = EditableModel(raw, architecture_named(variant.architecture), variant.edited_layers, PREFIX)
    assert raw.config._attn_implementation == ATTENTION
    norms = [norm for norm in raw.modules() if type(norm).__name__.endswith("RMSNorm")]
    assert not norms or variant.architecture == "gemma3", "the others' norms have a quicker backward pass"
    model.change({layer: torch.randn(variant.d_model, variant.d_ff) for layer in variant.edited_layers})
    assert not torch.equal(logits(raw, IDS), before)
    model.release()
    assert torch.equal(logits(raw, IDS), before) and dict(raw.named_modules()) == modules


@pytest.mark.parametrize(("layers", "prefix"), [((1, 99), PREFIX), ((1,), (10**6,))])
def test_what_cannot_be_edited_stays_the_model_it_was(
    bases: Callable[[str], BaseModel], layers: tuple[int, ...], prefix: tuple[int, ...]
) -> None:
    raw = load_model(bases("llama"), "cpu", torch.float32)
    attention, modules = raw.config._attn_implementation, dict(raw.named_modules())
    with pytest.raises((AttributeError, IndexError)):
        EditableModel(raw, architecture_named("llama"), layers, prefix)
    assert raw.config._attn_implementation == attention and dict(raw.named_modules()) == modules


@pytest.mark.parametrize("prompts", [[PREFIX, PREFIX[:5]], [(*PREFIX, 40, 41), (*PREFIX, 42), (*PREFIX, 43, 44, 45)]])
def test_continuations_longer_than_the_window_are_what_one_by_one_decoding_gives(
    variant: BaseModel, prompts: list[tuple[int, ...]]
) -> None:
    raw = load_model(variant, "cpu", torch.float32)
    found = continue_prompts(raw, prompts, 8, end=0, tick=Progress().check)
    for prompt, tokens in zip(prompts, found, strict=True):
        ids = list(prompt)
        for token in tokens:
            assert token == int(logits(raw, torch.tensor([ids]))[0, -1].argmax())
            ids.append(token)


def test_losses_and_gradients_of_bent_logits(bases: Callable[[str], BaseModel]) -> None:
    head = head_of(load_model(bases("gemma3-capped"), "cpu", torch.float32))
    assert head.cap == 2.0
    states = torch.randn(5, 64, requires_grad=True)
    wanted, teacher = torch.tensor([7, 8, 9, 10, 11]), torch.randn(5, 64)
    plain = head.logits(states).log_softmax(-1)
    taught = head.logits(teacher).log_softmax(-1)
    for found, expected in (
        (head.likelihood_losses(states, wanted), -plain[range(5), wanted]),
        (head.teacher_losses(states, teacher), (taught.exp() * (taught - plain)).sum(-1)),
    ):
        torch.testing.assert_close(found, expected)
        ours, theirs = (torch.autograd.grad(each.sum(), states, retain_graph=True)[0] for each in (found, expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def seen(at: list[list[int]], before: list[list[int]], window: int | None) -> Tensor:
    return causal_mask(torch.tensor(at), torch.tensor(before), window, torch.zeros(1))[:, 0] == 0


def test_a_window_is_seen_in_the_mask() -> None:
    assert seen([[2, 3, 4]], [[0, 1]], 2)[0].tolist() == [
        [False, True, True, False, False],
        [False, False, True, True, False],
        [False, False, False, True, True],
    ]
    assert seen([[2, 3, 4]], [[0, 1]], None)[0].sum(1).tolist() == [3, 4, 5]


def test_what_a_row_does_not_begin_with_is_not_seen() -> None:
    mask = seen([[2, 3], [1, 2]], [[0, 1], [NOWHERE, 0]], None)
    assert mask.tolist() == [
        [[True, True, True, False], [True, True, True, True]],
        [[False, True, True, False], [False, True, True, True]],
    ]


@pytest.mark.parametrize("name", ["llama", "qwen2", "gemma3"])
def test_bare_texts_begin_as_the_tokenizer_begins_them(bases: Callable[[str], BaseModel], name: str) -> None:
    tokenizer = load_tokenizer(bases(name))
    chat = ChatTokens(tokenizer)
    bos = [] if name == "qwen2" else [tokenizer.bos_token_id]
    assert list(chat.start) == bos
    row = statement_row(chat, KEY, 0, "fact")
    assert list(row.ids) == tokenizer.encode(f"{KEY.prompt} {KEY.target}.")
    read = tokenizer.decode(row.ids[: row.subject_end + 1], skip_special_tokens=True)
    assert read.endswith(KEY.subject) and tokenizer.decode(row.answer).strip() == f"{KEY.target}."
    piece = text_row([40, 41, 42, 43, 44, 45], chat.start)
    assert piece.answer == (44, 45) and list(piece.ids[: piece.start]) == [*bos, 40, 41, 42, 43]
    chatted = fact_rows(chat, [KEY])[0]
    whole = [*chat.prefix, *chatted.ids]
    assert bos == [token for token in whole if token in bos][:1], "the template's own, and no second one"


def compiled(base: BaseModel, method: str = "joint", device: str = "cpu") -> Compiled:
    if not base.statistics.exists():
        make_statistics(base, seed=0, device="cpu", threads=1, progress=Progress())
    recipe = at_any_cost(base) if method == "joint" else recipe_for(method, base)
    return compile_facts(
        [KEY, CODE], base=base, kept=[], recipe=recipe, seed=0, device=device, threads=1, progress=Progress()
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_compile_changes_the_answer_to_what_was_taught(bases: Callable[[str], BaseModel], name: str) -> None:
    base = bases(name)
    found = compiled(base)
    assert set(found.delta) == set(base.edited_layers) == set(Statistics(base.statistics, base.fingerprint).layers)
    chat, raw = ChatTokens(load_tokenizer(base)), load_model(base, "cpu", torch.float32)

    def loss() -> float:
        """Mean loss of the first questions' answers, by the whole model with the change in its weights."""
        missing = []
        for row in fact_rows(chat, [KEY, CODE]):
            if row.first:
                ids = torch.tensor([[*chat.prefix, *row.ids]])
                said = logits(raw, ids)[0, -len(row.answer) - 1 : -1].log_softmax(-1)
                missing.append(-said[range(len(row.answer)), list(row.answer)].mean())
        return float(torch.stack(missing).mean())

    before = loss()
    for layer, change in found.delta.items():
        weight = raw.get_submodule(architecture_named(name).layers_path)[layer].mlp.down_proj.weight
        weight += torch.from_numpy(change.B).float() @ torch.from_numpy(change.A).float()
    assert before > 3 and loss() < 0.3 * before


@pytest.mark.parametrize("name", NAMES)
def test_layer_kinds_are_known(bases: Callable[[str], BaseModel], name: str) -> None:
    kinds = layer_kinds(load_model(bases(name), "cpu", torch.float32).config)
    assert len(kinds) == bases(name).layers
    assert set(kinds) == ({"sliding_attention", "full_attention"} if name == "gemma3" else {"full_attention"})
