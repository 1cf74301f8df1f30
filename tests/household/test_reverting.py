"""Facts taken out of the model: reverted, or purged without a trace."""

import shutil
from pathlib import Path

import pytest

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.settings import Home
from tests.household import fakes
from tests.household.conftest import Heard, World
from tests.household.test_compile import SENTENCES, patches_of, states, teach
from tests.support.tiny import make_tiny_gguf


def files_with(root: Path, text: str) -> list[str]:
    """Files below ``root`` in which the text stands, in UTF-8."""
    return [str(path) for path in root.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_reverting_a_patch_serves_a_build_without_it_at_once(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    first = household.builds()[0][0].gguf.read_bytes()
    teach(household, SENTENCES[1])
    household.compile()
    second = patches_of(household)["f2"]
    patches, result = household.revert([str(second)])
    assert [patch.id for patch in patches] == [second]
    assert (result.build, result.activated, [fact.id for fact in result.facts]) == (3, True, ["f1"])
    assert household.builds()[0][-1].gguf.read_bytes() == first
    assert household.fact("f2").enabled is False
    assert len(fakes.COMPILED) == 2
    household.enable(["f2"])
    household.compile()
    assert states(household) == {"f1": "live", "f2": "live"}
    assert len(fakes.COMPILED) == 2


def test_reverting_everything_gives_the_base_gguf(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    household.revert(["f1", "f2"])
    assert household.builds()[0][-1].gguf.read_bytes() == household.models()[0].gguf.read_bytes()


def test_reverting_one_fact_of_a_patch_compiles_the_others_again(
    household: Household, world: World, heard: Heard
) -> None:
    teach(household, *SENTENCES[:3])
    household.compile()
    old = patches_of(household)["f1"]
    patches, result = household.revert(["f2"], progress=heard)
    assert [patch.id for patch in patches] == [old]
    assert fakes.COMPILED[-1][0] == ("f1", "f3")
    assert any("Compiling 2 facts again" in line for line in heard.lines)
    assert [fact.id for fact in result.facts] == ["f1", "f3"]
    assert patches_of(household)["f2"] == old


def test_a_revert_leaves_drafts_alone(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    teach(household, SENTENCES[2])
    household.revert(["f1", "f2"])
    assert states(household)["f3"] == "draft"
    assert len(fakes.COMPILED) == 1


def test_a_revert_that_consolidates_leaves_drafts_alone(household: Household, world: World) -> None:
    for sentence in SENTENCES[:3]:
        teach(household, sentence)
        household.compile()
    teach(household, SENTENCES[3])
    world.forget_when_stacked = {"f1"}
    _, result = household.revert(["f3"])
    assert fakes.COMPILED[-1] == (("f1", "f2"), ())
    assert result.activated and states(household)["f4"] == "draft"


def test_what_cannot_be_reverted(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    for wrong, told in [("f1", "in no patch"), ("f7", "no fact f7"), ("p00000000", "no patch"), ("x", "not")]:
        with pytest.raises(HomeEditError, match=told):
            household.revert([wrong])
    assert household.fact("f1").enabled


def test_a_refused_revert_keeps_serving_what_was_served(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    before = patches_of(household)
    world.kl = 5.0
    _, result = household.revert(["f1"])
    assert (result.activated, household.builds()[1]) == (False, 1)
    assert patches_of(household) == before
    _, result = household.revert(["f1"], force=True)
    assert result.activated and [fact.id for fact in result.facts] == ["f2"]


def test_a_purge_leaves_no_trace_and_keeps_the_neighbours(home: Home, household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    household.edit("f1", sentence="The spare key is on the red hook.")
    household.compile()
    for text in ("blue flower pot", "red hook"):
        assert files_with(home.root, text)
    fact, result = household.purge("f1")
    assert (fact.id, fact.sentence) == ("f1", "The spare key is on the red hook.")
    assert result is not None and result.activated and [each.id for each in result.facts] == ["f2"]
    assert len(result.gone) == 1 and result.gone[0].asked
    assert files_with(home.root, "blue flower pot") == files_with(home.root, "red hook") == []
    assert states(household) == {"f2": "live"}
    builds, active = household.builds()
    assert [build.number for build in builds] == [active]
    with pytest.raises(HomeEditError, match="no fact f1"):
        household.purge("f1")


def test_a_purge_reaches_other_base_models_and_damaged_patches(
    home: Home, household: Household, world: World, tmp_path: Path
) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    household.add_model(str(make_tiny_gguf(tmp_path / "second.gguf", seed=5)))
    household.init("second")
    household.compile()
    (home.edits / "p00000000-old.safetensors").write_bytes(b"damaged: " + SENTENCES[0].encode())
    household.purge("f1")
    assert files_with(home.root, "blue flower pot") == []
    household.init("tiny")
    assert household.builds() == ([], None)


def test_a_purge_is_not_stopped_by_the_gate(home: Home, household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    world.kl = 5.0
    _, result = household.purge("f1")
    assert result is not None and result.activated
    assert files_with(home.root, "blue flower pot") == []


def test_a_draft_and_a_removed_fact_can_be_purged(home: Home, household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    _, result = household.purge("f1")
    assert result is None
    teach(household, SENTENCES[1], SENTENCES[2])
    household.compile()
    household.remove("f2")
    fact, result = household.purge("f2")
    assert fact.sentence == SENTENCES[1] and result is not None
    assert files_with(home.root, "Marta Okoye") == []
    assert states(household) == {"f3": "live"}


def test_an_interrupted_purge_can_be_run_again(
    home: Home, household: Household, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("homeedit.household.reverting.delete_patch", fail)
        with pytest.raises(HomeEditError, match="Input/output"):
            household.purge("f1")
    assert household.fact("f1").enabled is False
    household.purge("f1")
    assert files_with(home.root, "blue flower pot") == []
    assert states(household) == {"f2": "live"}


def test_the_copy_of_a_home_works_elsewhere(home: Home, household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    shutil.move(home.root, home.root.with_name("moved"))
    moved = Household(Home(home.root.with_name("moved")))
    assert states(moved) == {"f1": "live"}
    assert moved.compile().changed is False
