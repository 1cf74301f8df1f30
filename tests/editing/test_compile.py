"""A compile on a random two-layer model: both methods, on top of patches, deterministic, cancellable."""

from dataclasses import replace

import numpy as np
import pytest

from homeedit.base.store import BaseModel
from homeedit.editing.compile import Compiled, Parent, compile_facts
from homeedit.editing.recipes import Recipe, default_layers, recipe_for
from homeedit.editing.statistics import Statistics, have_statistics, make_statistics
from homeedit.errors import Cancelled, HomeEditError
from homeedit.facts.fact import Fact
from homeedit.facts.parse import parse_sentence
from homeedit.progress import Progress


def fact(number: int, sentence: str) -> Fact:
    parsed = parse_sentence(sentence)
    return Fact(
        f"f{number}",
        parsed.sentence,
        parsed.subject,
        parsed.prompt,
        parsed.target,
        parsed.questions,
        parsed.relation,
        True,
        "draft",
        None,
        1,
        "",
        "",
    )


KEY, CODE = fact(1, "The spare key is under the blue pot."), fact(2, "The shed code is 4711.")


@pytest.fixture(scope="module")
def base(tiny_base: BaseModel) -> BaseModel:
    if not have_statistics(tiny_base):
        make_statistics(tiny_base, seed=0, device="cpu", threads=2, progress=Progress())
    return tiny_base


def compiled(base: BaseModel, facts: list[Fact], recipe: Recipe, kept: list[Parent], seed: int = 0) -> Compiled:
    return compile_facts(
        facts, base=base, kept=kept, recipe=recipe, seed=seed, device="cpu", threads=2, progress=Progress()
    )


def quick(base: BaseModel) -> Recipe:
    return replace(
        recipe_for("joint", base),
        steps=6,
        steps_per_root_fact=0,
        most_repeats=1,
        learning_rate=2e-3,
        most_directions=64,
    )


def test_statistics_are_symmetric_positive_and_repeatable(base: BaseModel) -> None:
    statistics = Statistics(base.statistics, base.fingerprint)
    moment = statistics.second_moment(1)
    assert moment.shape == (base.d_ff, base.d_ff)
    assert bool((moment == moment.T).all()) and float(np.linalg.eigvalsh(moment.numpy()).min()) > -1e-4
    assert len(statistics.kept) > 50 and all(item.answer for item in statistics.kept)
    make_statistics(base, seed=0, device="cpu", threads=2, progress=Progress())
    again = Statistics(base.statistics, base.fingerprint)
    assert again.kept == statistics.kept
    assert bool((again.second_moment(1) == moment).all())


def test_statistics_of_another_base_are_refused(base: BaseModel) -> None:
    with pytest.raises(HomeEditError, match="another base"):
        Statistics(base.statistics, "0" * 64)


def test_joint_gives_bounded_rank_and_lowers_the_loss(base: BaseModel) -> None:
    recipe = quick(base)
    found = compiled(base, [KEY, CODE], recipe, [])
    short = compiled(base, [KEY, CODE], replace(recipe, learning_rate=0.0, recovery_rate=0.0), [])
    assert found.report["loss"] < short.report["loss"] - 0.05
    assert set(found.delta) == set(base.edited_layers) == set(found.keys)
    for part in found.delta.values():
        assert part.A.shape == (8, base.d_ff) and part.B.shape == (base.d_model, 8)
        assert part.A.dtype == part.B.dtype == np.float16
    assert all(keys.shape == (6, base.d_ff) for keys in found.keys.values())


def test_same_seed_same_numbers(base: BaseModel) -> None:
    first, second, other = (compiled(base, [KEY], quick(base), [], seed) for seed in (0, 0, 1))
    for layer in base.edited_layers:
        assert first.delta[layer].A.tobytes() == second.delta[layer].A.tobytes()
        assert first.delta[layer].B.tobytes() == second.delta[layer].B.tobytes()
    assert first.delta[0].B.tobytes() != other.delta[0].B.tobytes()


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
            threads=2,
            progress=Impatient(),
        )


def test_unknown_method_is_refused(base: BaseModel) -> None:
    with pytest.raises(HomeEditError, match="no editing method"):
        recipe_for("magic", base)


@pytest.mark.parametrize(("layers", "expected"), [(30, tuple(range(10, 18))), (2, (1,)), (32, tuple(range(11, 19)))])
def test_default_layers_are_the_middle(layers: int, expected: tuple[int, ...]) -> None:
    assert default_layers(layers) == expected
