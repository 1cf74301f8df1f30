"""Facts compiled anew with more effort, on the tiny model, with a fake training."""

import pytest

from homeedit.errors import HomeEditError
from homeedit.household import Household
from tests.household import fakes
from tests.household.conftest import Heard, World
from tests.household.test_compile import SENTENCES, patches_of, states, teach


def test_a_fact_is_tried_again_with_more_effort_and_its_neighbours_as_before(
    household: Household, world: World, heard: Heard
) -> None:
    world.forgotten = {"f2"}
    teach(household, *SENTENCES[:2])
    assert household.compile().exit_code == 3
    first = household.patches()[0]
    world.forgotten = set()
    result = household.compile(retry=["2", "f2"], progress=heard)
    assert [call[0] for call in fakes.COMPILED] == [("f1", "f2"), ("f1",), ("f2",)]
    assert any("1 fact again, with more effort" in line for line in heard.lines)
    assert (result.activated, result.changed, result.exit_code) == (True, True, 0)
    assert states(household) == {"f1": "live", "f2": "live"}
    kept, again = (next(p for p in household.patches() if p.id == patches_of(household)[each]) for each in ("f1", "f2"))
    usual, effort = kept.recipe, again.recipe
    assert usual == first.recipe and again.parents == (kept.id,)
    more = {"steps", "steps_per_root_fact", "most_repeats"}
    assert {name for name in usual if usual[name] != effort[name]} == more
    assert all(effort[name] == 2 * usual[name] for name in more)
    assert household.compile().changed is False


def test_a_refused_retry_leaves_the_fact_in_its_patch(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    before = patches_of(household)
    world.kl = 9.0
    assert household.compile(retry=["f2"]).activated is False
    assert patches_of(household) == before and states(household) == {"f1": "live", "f2": "live"}
    assert [patch.id for patch in household.patches()] == [before["f1"]]


def test_what_cannot_be_tried_again(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    household.disable(["f2"])
    with pytest.raises(HomeEditError, match="f2 cannot be tried again") as caught:
        household.compile(retry=["f1", "f2"])
    assert "fact enable f2" in caught.value.hint and caught.value.exit_code == 2
    with pytest.raises(HomeEditError, match="no fact f9"):
        household.compile(retry=["f9"])
    assert len(fakes.COMPILED) == 1
