"""A compile on a random two-layer model: both methods, on top of patches, deterministic, cancellable."""

import threading
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from homeedit.base.load import load_model
from homeedit.base.store import BaseModel
from homeedit.editing.compile import (
    Compiled,
    Parent,
    _contrast_rows,
    _contrasts,
    _preserved_rows,
    _replay_rows,
    _rounds,
    compile_facts,
)
from homeedit.editing.devices import working_dtype
from homeedit.editing.generation import continue_prompts
from homeedit.editing.job import Job
from homeedit.editing.methods import METHODS
from homeedit.editing.methods.joint import run
from homeedit.editing.model import EditableModel
from homeedit.editing.recipes import Recipe, recipe_for
from homeedit.editing.requests import ChatTokens, Row, exchange, fact_rows
from homeedit.editing.statistics import Statistics
from homeedit.errors import Cancelled
from homeedit.facts.contrasts import NearMiss, near_misses
from homeedit.facts.everyday import everyday_questions
from homeedit.facts.fact import Fact
from homeedit.progress import Progress
from tests.editing.helpers import CODE, KEY

SAID = [exchange(KEY), exchange(CODE)]


@pytest.fixture(scope="module")
def statistics(base: BaseModel) -> Statistics:
    return Statistics(base.statistics, base.fingerprint)


@pytest.fixture(scope="module")
def model(base: BaseModel) -> Any:
    return load_model(base, "cpu", working_dtype("cpu"))


def compiled(base: BaseModel, facts: list[Fact], recipe: Recipe, kept: list[Parent], seed: int = 0) -> Compiled:
    return compile_facts(
        facts, base=base, kept=kept, recipe=recipe, seed=seed, device="cpu", threads=1, progress=Progress()
    )


def quick(base: BaseModel) -> Recipe:
    return replace(
        recipe_for("joint", base),
        steps=6,
        steps_per_root_fact=0,
        rate=0.1,
        warmup=1,
        most_repeats=1,
        repeat_steps=2,
        most_directions=64,
        rank_per_fact=4,
        least_rank=8,
        rows_per_step=12,
        kept_rows_per_step=2,
        contrasts_per_fact=2,
    )


def test_preserved_rows_are_a_sample_drawn_from_the_seed(
    base: BaseModel, chat: ChatTokens, statistics: Statistics
) -> None:
    recipe = replace(quick(base), steps=9, kept_rows_per_step=3, text_rows_per_step=2, kept_tokens=5, text_tokens=12)
    rows = _preserved_rows(chat, statistics, recipe, 12, seed=0)
    keep, texts = ([row for row in rows if row.kind == kind] for kind in ("keep", "text"))
    assert (len(keep), len(texts)) == (27, 18) and len(rows) == 45
    answers = {tuple(chat.question(item.question)): item.answer for item in statistics.kept}
    asked = [row.ids[: row.start] for row in keep]
    assert len(set(asked)) == 27, "without replacement"
    assert all(row.prefixed and row.answer == answers[begun][:5] for row, begun in zip(keep, asked, strict=True))
    pieces = {tuple(text[at : at + 12]) for text in statistics.texts for at in range(0, len(text) - 11, 12)}
    assert {row.ids for row in texts} <= pieces and not any(row.prefixed for row in texts)
    assert _preserved_rows(chat, statistics, recipe, 12, seed=0) == rows
    other = _preserved_rows(chat, statistics, recipe, 12, seed=1)
    assert {row.ids for row in other[:27]} != {row.ids for row in keep}
    assert {row.ids for row in other[27:]} != {row.ids for row in texts}


def test_a_large_compile_preserves_all_there_is(base: BaseModel, chat: ChatTokens, statistics: Statistics) -> None:
    recipe = replace(quick(base), steps=10_000, text_tokens=12)
    rows = _preserved_rows(chat, statistics, recipe, 1, seed=0)
    pieces = sum(len(text) // 12 for text in statistics.texts)
    assert len(rows) == len(statistics.kept) + pieces


def test_a_larger_compile_preserves_more(base: BaseModel, chat: ChatTokens, statistics: Statistics) -> None:
    recipe = replace(quick(base), steps=1, steps_per_root_fact=2.0, kept_rows_per_step=3, text_rows_per_step=0)
    assert [len(_preserved_rows(chat, statistics, recipe, facts, 0)) for facts in (16, 25)] == [24, 30]
    few = len(_preserved_rows(chat, statistics, recipe, 1, 0))
    assert 0 < few == recipe.preserved_for(1, 3) < 6, "fewer than its steps would see: most of their rows are not read"


def test_a_near_miss_is_asked_plainly_and_with_the_beginning_of_the_facts_answer(
    base: BaseModel, chat: ChatTokens, statistics: Statistics, model: Any
) -> None:
    recipe = replace(quick(base), contrasts_per_fact=4, contrast_tokens=3, kept_tokens=5)
    contrasts = _contrast_rows(model, chat, _contrasts([KEY, CODE], [], [], recipe, 0), recipe, Progress())
    expected: list[tuple[int, list[int]]] = []
    everyday: list[tuple[int, list[int]]] = []
    for index, each in enumerate((KEY, CODE)):
        misses = near_misses(each, {"spare key", "shed code"}, seed=0, count=4)
        assert len(misses) == 4
        for number, miss in enumerate(misses):
            question = chat.question(miss.questions[number % len(miss.questions)])
            expected += [(index, question), (index, [*question, *chat.encode(miss.prompt)[0]])]
        everyday += [(index, chat.question(question)) for question in everyday_questions(each)]
    assert {row.kind for row in contrasts} == {"contrast"}
    assert [(row.fact, list(row.ids[: row.start])) for row in contrasts] == expected + everyday
    greedy = [
        answer
        for asked, tokens in ((expected, 3), (everyday, 5))
        for answer in continue_prompts(
            model, [[*chat.prefix, *ids] for _, ids in asked], tokens, chat.end[0], Progress().check
        )
    ]
    assert [list(row.answer) for row in contrasts] == greedy and all(row.prefixed for row in contrasts)
    assert any(len(row.answer) > 3 for row in contrasts)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_near_misses_asked_on_two_cores_are_those_of_one(
    base: BaseModel,
    chat: ChatTokens,
    statistics: Statistics,
    model: Any,
    two_threads: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("homeedit.editing.compile.ASKED_AT_ONCE", 3)
    recipe = replace(quick(base), contrasts_per_fact=4, contrast_tokens=3, kept_tokens=5)
    asked = _contrasts([KEY, CODE], [], [], recipe, 0)
    threads = set()

    class Counted(Progress):
        counted = 0

        def on_advance(self, count: int, note: str) -> None:
            self.counted += count

        def check(self) -> None:
            threads.add(threading.get_ident())

    progress = Counted()
    on_two = _contrast_rows(model, chat, asked, recipe, progress)
    assert threads - {threading.get_ident()}, "others than this thread asked"
    assert progress.counted == len(asked) == len(on_two)
    torch.set_num_threads(1)
    assert _contrast_rows(model, chat, asked, recipe, Progress()) == on_two
    torch.set_num_threads(2)
    stopped = Progress()
    stopped.cancel()
    with pytest.raises(Cancelled):
        _contrast_rows(model, chat, asked, recipe, stopped)


def test_a_subject_taught_before_is_no_near_miss(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    avoided: list[set[str]] = []

    def watched(each: Fact, avoid: set[str], **options: Any) -> list[NearMiss]:
        avoided.append(set(avoid))
        return near_misses(each, avoid, **options)

    monkeypatch.setattr("homeedit.editing.compile.near_misses", watched)
    _contrasts([KEY], [], [CODE], quick(base), 0)
    assert avoided == [{KEY.subject.lower(), CODE.subject.lower()}]


def test_near_misses_of_earlier_facts_are_held_too_as_many_as_the_new_facts_pay_for(base: BaseModel) -> None:
    def of_earlier(earlier: list[Fact], count: int, seed: int = 0) -> list[str]:
        recipe = replace(quick(base), earlier_contrasts_per_fact=count)
        return [item.question for item in _contrasts([KEY], earlier, [], recipe, seed) if item.fact == -1]

    others = [
        replace(CODE, subject=f"{word} code", questions=(f"What is the {word} code?",))
        for word in ("shed", "gate", "safe")
    ]
    assert len(of_earlier(others, 2)) == 4, "two facts, each asked plainly and with the answer begun"
    assert len(of_earlier(others[:1], 2)) == 2 and of_earlier(others, 0) == []
    assert of_earlier(others, 2) == of_earlier(others, 2)
    assert any(of_earlier(others, 2) != of_earlier(others, 2, seed) for seed in (1, 2, 3))


def test_facts_of_earlier_patches_are_replayed_by_their_first_question_and_some_others(
    base: BaseModel, chat: ChatTokens
) -> None:
    recipe = replace(quick(base), replay_per_fact=3)

    def replayed(seed: int) -> list[Row]:
        return _replay_rows(chat, [Parent((KEY, CODE), {}, {})], 12, SAID, recipe, seed)

    rows = replayed(0)
    assert [row.first for row in rows] == [True, False, False] * 2 and {row.kind for row in rows} == {"replay"}
    for number, each in enumerate((KEY, CODE)):
        own = fact_rows(chat, [each], "replay", SAID)
        assert all(row in own for row in rows[3 * number : 3 * number + 3])
    assert replayed(0) == rows and any(replayed(seed) != rows for seed in (1, 2, 3))


def test_joint_gives_bounded_rank_and_lowers_the_loss(base: BaseModel) -> None:
    recipe = quick(base)
    found = compiled(base, [KEY, CODE], recipe, [])
    short = compiled(base, [KEY, CODE], replace(recipe, rate=0.0, repeat_rate=0.0), [])
    assert found.report["loss"] < short.report["loss"] - 0.05
    assert set(found.delta) == set(base.edited_layers) == set(found.keys)
    for part in found.delta.values():
        assert part.A.shape == (8, base.d_ff) and part.B.shape == (base.d_model, 8)
        assert part.A.dtype == part.B.dtype == np.float16
    assert all(keys.shape == (6, base.d_ff) for keys in found.keys.values())


def test_same_seed_same_numbers(base: BaseModel) -> None:
    first, second, other = (compiled(base, [KEY], quick(base), [], seed) for seed in (0, 0, 1))
    assert first.report == second.report
    for layer in base.edited_layers:
        assert first.keys[layer].tobytes() == second.keys[layer].tobytes()
        assert first.delta[layer].A.tobytes() == second.delta[layer].A.tobytes()
        assert first.delta[layer].B.tobytes() == second.delta[layer].B.tobytes()
    assert first.delta[0].B.tobytes() != other.delta[0].B.tobytes()


def test_the_global_random_state_makes_no_difference(base: BaseModel) -> None:
    torch.manual_seed(1)
    first = compiled(base, [KEY], quick(base), [])
    torch.manual_seed(2)
    second = compiled(base, [KEY], quick(base), [])
    assert all(part.B.tobytes() == second.delta[layer].B.tobytes() for layer, part in first.delta.items())


def test_compile_stands_on_earlier_patches(base: BaseModel) -> None:
    earlier = compiled(base, [KEY], quick(base), [])
    parent = Parent((KEY,), earlier.delta, earlier.keys)
    found = compiled(base, [CODE], quick(base), [parent])
    alone = compiled(base, [CODE], quick(base), [])
    assert found.delta[1].B.tobytes() != alone.delta[1].B.tobytes()


def test_alphaedit_closed_form_compiles(base: BaseModel) -> None:
    recipe = replace(recipe_for("alphaedit", base), layers=base.edited_layers, steps=4)
    found = compiled(base, [KEY, CODE], recipe, [])
    assert all(part.rank == 2 and np.isfinite(part.B).all() for part in found.delta.values())
    assert any(np.abs(part.B).max() > 0 for part in found.delta.values())


def test_cancel_reaches_into_the_loops(base: BaseModel) -> None:
    class Impatient(Progress):
        def on_stage(self, name: str, total: int | None) -> None:
            if name == "learning":
                self.cancel()

    with pytest.raises(Cancelled):
        compile_facts(
            [KEY],
            base=base,
            kept=[],
            recipe=quick(base),
            seed=0,
            device="cpu",
            threads=1,
            progress=Impatient(),
        )


class Stages(Progress):
    """Notes the stages."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = list[str]()

    def on_stage(self, name: str, total: int | None) -> None:
        """Note it."""
        self.seen.append(name)


def test_many_facts_are_learned_in_rounds_each_on_top_of_those_before(
    base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    def noted(job: Job, progress: Progress) -> Any:
        jobs.append(job)
        return run(job, progress)

    monkeypatch.setitem(METHODS, "joint", noted)
    recipe, progress = replace(quick(base), facts_per_round=1), Stages()
    found = compile_facts(
        [KEY, CODE], base=base, kept=[], recipe=recipe, seed=0, device="cpu", threads=1, progress=progress
    )
    assert [job.facts for job in jobs] == [(KEY,), (CODE,)]
    assert [sum(row.kind == "replay" for row in job.rows) for job in jobs] == [0, recipe.replay_per_fact]
    assert [layer in job.earlier_keys for job in jobs for layer in (base.edited_layers[0],)] == [False, True]
    assert "learning (1 of 2)" in progress.seen and "learning (2 of 2)" in progress.seen
    first = compiled(base, [KEY], recipe, [])
    second = compiled(base, [CODE], recipe, [Parent((KEY,), first.delta, first.keys)])
    for layer, part in found.delta.items():
        assert part.A.shape[0] == 2 * recipe.least_rank and found.keys[layer].shape[0] == 6
        assert np.array_equal(part.A[: recipe.least_rank], first.delta[layer].A), "the first round knows nothing of it"
        assert np.array_equal(found.keys[layer][3:], second.keys[layer])
    assert found.report["rounds"] == 2 and "rounds" not in first.report


def test_the_model_is_loaded_once_and_pristine_before_each_round_and_freed_after_the_last(
    base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[weakref.ref[Any]] = []
    seen: list[Any] = []

    def noted(*arguments: Any) -> Any:
        model = load_model(*arguments)
        loaded.append(weakref.ref(model))
        return model

    class Noted(EditableModel):
        def __init__(self, raw: Any, *arguments: Any) -> None:
            parts = [raw.get_submodule(f"model.layers.{layer}.mlp.down_proj") for layer in base.edited_layers]
            seen.append(({type(part) for part in parts}, raw.config._attn_implementation))
            super().__init__(raw, *arguments)

    monkeypatch.setattr("homeedit.editing.compile.load_model", noted)
    monkeypatch.setattr("homeedit.editing.compile.EditableModel", Noted)
    compiled(base, [KEY, CODE], replace(quick(base), facts_per_round=1), [])
    assert len(loaded) == 1 and loaded[0]() is None
    assert len(seen) == 2 and seen[0] == seen[1] and seen[1][0] == {torch.nn.Linear}


@pytest.mark.parametrize(
    ("facts", "sizes"), [(1, [1]), (12, [12]), (13, [6, 7]), (30, [10, 10, 10]), (100, [11, 11, 11, 11, 12] + [11] * 4)]
)
def test_rounds_are_as_few_and_as_even_as_can_be(base: BaseModel, facts: int, sizes: list[int]) -> None:
    found = _rounds([KEY] * facts, recipe_for("joint", base))
    assert sorted(map(len, found)) == sorted(sizes)
    assert [len(each) for each in _rounds([KEY] * facts, recipe_for("alphaedit", base))] == [facts]
