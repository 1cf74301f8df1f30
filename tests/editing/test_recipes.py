"""The recipe: its schedule, its number of steps, and the layers it edits."""

from dataclasses import replace
from itertools import pairwise

import pytest

from homeedit.base.store import BaseModel
from homeedit.editing.presets import default_layers
from homeedit.editing.recipes import Recipe, recipe_for
from homeedit.errors import USAGE, HomeEditError

RECIPE = Recipe(
    "joint",
    (1,),
    steps=20,
    steps_per_root_fact=16.0,
    rows_per_step=24,
    hold_share=0.3,
    warmup=5,
    free_share=0.2,
)


def test_the_rate_warms_up_then_holds_then_falls_to_zero_along_a_cosine() -> None:
    rates = [RECIPE.schedule(step, 100, 0.3) for step in range(101)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[4:31] == [1.0] * 27
    assert all(later < earlier for earlier, later in pairwise(rates[30:]))
    assert rates[65] == pytest.approx(0.5) and rates[30 + 70 // 4] == pytest.approx(0.86, abs=0.01)
    assert rates[99] > 0 and rates[100] == pytest.approx(0)


def test_more_effort_is_twice_the_steps_at_every_size() -> None:
    harder = RECIPE.with_more_effort()
    assert all(harder.steps_for(facts, 0) == 2 * RECIPE.steps_for(facts, 0) for facts in (1, 4, 25, 100))
    assert harder.most_repeats == 2 * RECIPE.most_repeats
    assert (harder.layers, harder.rate, harder.rows_per_step) == (RECIPE.layers, RECIPE.rate, RECIPE.rows_per_step)


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_a_short_schedule_stays_between_zero_and_one(steps: int) -> None:
    rates = [RECIPE.schedule(step, steps, 0.3) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates) and rates[0] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("facts", "rows", "steps"),
    [
        (1, 0, 20),  # never less than the least
        (4, 60, 32),  # 16 √4
        (2, 30, 23),  # 16 √2 = 22.6
        (9, 0, 48),  # 16 √9
        (9, 24 * 50, 50),  # every row has its turn
        (9, 24 * 50 + 1, 51),
        (1, 24 * 21, 21),
    ],
)
def test_steps_grow_with_the_root_of_the_facts_and_give_every_row_its_turn(facts: int, rows: int, steps: int) -> None:
    found = RECIPE.steps_for(facts, rows)
    assert found == steps and isinstance(found, int)


@pytest.mark.parametrize("method", ["joint", "alphaedit", "rome", "memit", "memit-csk", "alphaedit-csk"])
def test_a_shipped_recipe_is_in_order(tiny_base: BaseModel, method: str) -> None:
    recipe = recipe_for(method, tiny_base)
    assert recipe.method == method and set(recipe.layers) <= set(tiny_base.edited_layers) and recipe.layers
    assert 0 < recipe.free_share < 1 and 0 <= recipe.hold_share < 1 and recipe.warmup >= 1
    assert recipe.as_dict()["steps"] == recipe.steps


def test_classic_recipes_are_scaled_to_the_model(tiny_base: BaseModel) -> None:
    large = replace(tiny_base, edited_layers=tuple(range(10, 18)), d_ff=16_384)
    assert recipe_for("rome", large).layers == (10,) and recipe_for("rome", large).ridge == 0
    assert recipe_for("memit", large).layers == tuple(range(10, 15)) == recipe_for("alphaedit-csk", large).layers
    assert recipe_for("memit", replace(large, d_ff=1638)).ridge == pytest.approx(
        recipe_for("memit", large).ridge / 10, rel=1e-3
    )
    assert {recipe_for(name, large).position for name in ("rome", "memit", "alphaedit")} == {"subject"}
    assert {recipe_for(name, large).position for name in ("memit-csk", "alphaedit-csk")} == {"verb"}


def test_unknown_method_is_refused(tiny_base: BaseModel) -> None:
    with pytest.raises(HomeEditError, match="no editing method") as refused:
        recipe_for("magic", tiny_base)
    assert refused.value.exit_code == USAGE


@pytest.mark.parametrize(("layers", "expected"), [(30, tuple(range(10, 18))), (2, (1,)), (32, tuple(range(11, 19)))])
def test_default_layers_are_the_middle(layers: int, expected: tuple[int, ...]) -> None:
    assert default_layers(layers) == expected


def test_a_few_facts_use_a_share_of_the_rows_and_of_the_rate_and_many_old_ones_are_replayed_less() -> None:
    assert RECIPE.rate_for(1) < RECIPE.rate_for(3) < RECIPE.rate_for(12) == RECIPE.rate_for(500) == RECIPE.rate
    assert (
        RECIPE.share_of_rows(1) < RECIPE.share_of_rows(3) < RECIPE.share_of_rows(12) == RECIPE.share_of_rows(500) == 1
    )
    assert RECIPE.hold_for(1) > RECIPE.hold_for(3) > RECIPE.hold_for(12) == RECIPE.hold_for(500) == RECIPE.hold_share
    assert RECIPE.replays_for(1, 12) == RECIPE.replays_for(15, 12) == RECIPE.replay_per_fact
    assert RECIPE.replays_for(30, 12) == RECIPE.replay_rows // 30 and RECIPE.replays_for(5000, 12) == 1
    assert RECIPE.replays_for(15, 1) < RECIPE.replays_for(15, 12) and RECIPE.replays_for(5000, 1) == 1


def test_the_more_was_taught_the_dearer_is_a_change() -> None:
    assert RECIPE.on_top_of(0) == RECIPE
    assert RECIPE.on_top_of(RECIPE.penalty_doubles).change_penalty == 2 * RECIPE.change_penalty
    most = RECIPE.penalty_at_most * RECIPE.change_penalty
    assert RECIPE.on_top_of(10**4).change_penalty == most
    firmer = RECIPE.with_firmer_hold()
    assert firmer.on_top_of(0).change_penalty == 2 * RECIPE.change_penalty
    assert firmer.on_top_of(10**4).change_penalty == most, "what is too dear cannot be told apart"
