"""Compile from plan to activation, on the tiny model, with a fake training and answers the test decides."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeedit.base.store import BaseModel
from homeedit.builds.history import active_number, list_builds, read_manifest
from homeedit.editing.recipes import Recipe, recipe_for
from homeedit.errors import Cancelled, HomeEditError
from homeedit.household import Household
from homeedit.household.results import BuildResult
from homeedit.household.workspace import chosen_device
from homeedit.patches.store import damaged_patches, list_patches
from homeedit.progress import Progress
from homeedit.settings import Home
from homeedit.verify.recall import Recall
from tests.household import fakes
from tests.household.conftest import Heard, World

SENTENCES = (
    "The spare key is under the blue flower pot.",
    "Our plumber is called Marta Okoye.",
    "The recycling is collected on Thursday.",
    "The rake is in the shed.",
    "Aunt Clara lives in Bergen.",
)


def teach(household: Household, *sentences: str) -> list[str]:
    return [household.add(sentence).id for sentence in sentences]


def states(household: Household) -> dict[str, str]:
    return {fact.id: fact.state for fact in household.facts()}


def patches_of(household: Household) -> dict[str, str | None]:
    return {fact.id: fact.patch for fact in household.facts()}


def temporary_files(home: Home) -> list[str]:
    return [
        str(path.relative_to(home.root))
        for path in home.root.rglob("*")
        if ".partial" in path.name or ".tmp" in path.name
    ]


def test_a_first_compile_makes_one_patch_and_one_active_build(
    home: Home, household: Household, world: World, heard: Heard
) -> None:
    teach(household, *SENTENCES[:2])
    result = household.compile(progress=heard)
    assert (result.build, result.activated, result.changed, result.exit_code) == (1, True, True, 0)
    assert [(fact.id, fact.state, fact.recall) for fact in result.facts] == [
        ("f1", "live", 1.0),
        ("f2", "live", 1.0),
    ]
    assert set(result.seconds) == {"targets", "link", "merge", "quantize", "verify", "total"}
    assert states(household) == {"f1": "live", "f2": "live"}
    assert len(household.patches()) == 1
    assert fakes.COMPILED == [(("f1", "f2"), ())]
    base = household.models()[0]
    assert active_number(base) == 1
    assert list_builds(base)[0].recall == 1.0
    assert temporary_files(home) == []


def test_a_later_fact_is_compiled_on_top_and_the_old_patch_stays(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    before = patches_of(household)
    teach(household, SENTENCES[2])
    result = household.compile()
    assert fakes.COMPILED[-1] == (("f3",), (("f1", "f2"),))
    after = patches_of(household)
    assert {identity: after[identity] for identity in before} == before
    newest = next(patch for patch in household.patches() if patch.id == after["f3"])
    assert newest.parents == (before["f1"],)
    assert result.build == 2
    assert world.asked[-1] == ("f1", "f2", "f3")


def test_facts_that_were_live_in_the_same_patch_are_asked_once(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    world.forgotten = {"f2"}
    household.compile()
    teach(household, SENTENCES[2])
    household.compile()
    assert world.only_first == [set(), {"f1"}], "new facts and those that were not live are asked in full"
    household.disable(["f2"])
    household.compile()
    assert world.only_first[-1] == {"f3"}, "f1 has a new patch"
    household.compile(consolidate=True)
    household.verify()
    assert world.only_first[-2:] == [set(), set()]


def test_nothing_to_do_says_so_and_gives_the_last_results(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    world.forgotten = {"f2"}
    first = household.compile()
    again = household.compile()
    assert (again.build, again.changed, again.activated) == (1, False, True)
    assert first.exit_code == again.exit_code == 3
    assert [(fact.id, fact.state, fact.recall) for fact in again.facts] == [
        ("f1", "live", 1.0),
        ("f2", "failed", 0.0),
    ]
    assert again.locality == first.locality
    assert len(fakes.COMPILED) == 1


def test_without_facts_the_build_is_the_base_gguf(household: Household, world: World) -> None:
    result = household.compile()
    builds, active = household.builds()
    assert (result.build, active, result.facts) == (1, 1, ())
    assert builds[0].gguf.read_bytes() == household.models()[0].gguf.read_bytes()
    assert household.compile().changed is False


def test_disabling_all_facts_gives_the_base_back_and_enabling_only_links(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    edited = household.builds()[0][-1].gguf.read_bytes()
    household.disable(["f1", "f2"])
    household.compile()
    base = household.models()[0].gguf.read_bytes()
    assert edited != base
    assert household.builds()[0][-1].gguf.read_bytes() == base
    household.enable(["f1", "f2"])
    household.compile()
    assert household.builds()[0][-1].gguf.read_bytes() == edited
    assert len(fakes.COMPILED) == 1


def test_a_build_has_the_same_bytes_in_another_home(household: Household, world: World, tmp_path: Path) -> None:
    other = Household(fakes.make_home(tmp_path / "other", household.models()[0]))
    for each in (household, other):
        teach(each, *SENTENCES[:2])
        each.compile()
        teach(each, SENTENCES[2])
        each.compile()
    ours, theirs = (each.builds()[0][-1].gguf.read_bytes() for each in (household, other))
    assert ours == theirs


def test_an_edited_fact_is_compiled_anew_and_its_neighbours_again(
    household: Household, world: World, heard: Heard
) -> None:
    teach(household, *SENTENCES[:3])
    household.compile()
    household.edit("f2", sentence="Our plumber is called Jonas Weber.")
    assert states(household) == {"f1": "live", "f2": "draft", "f3": "live"}
    household.compile(progress=heard)
    assert [call[0] for call in fakes.COMPILED[1:]] == [("f1", "f3"), ("f2",)]
    assert fakes.COMPILED[-1][1] == (("f1", "f3"),)
    assert any("2 facts again" in line for line in heard.lines)
    assert set(states(household).values()) == {"live"}
    assert len(household.patches()) == 2


def test_consolidating_replaces_all_patches_with_one(household: Household, world: World) -> None:
    for sentence in SENTENCES[:3]:
        teach(household, sentence)
        household.compile()
    assert len(household.patches()) == 3
    household.compile(consolidate=True)
    assert fakes.COMPILED[-1] == (("f1", "f2", "f3"), ())
    assert len(household.patches()) == 1
    assert len(set(patches_of(household).values())) == 1


def test_lost_facts_are_rescued_by_consolidating_once(household: Household, world: World, heard: Heard) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    teach(household, SENTENCES[1])
    world.forget_when_stacked = {"f1"}
    result = household.compile(progress=heard)
    assert [call[0] for call in fakes.COMPILED] == [("f1",), ("f2",), ("f2",), ("f1", "f2")]
    assert any("no longer recalled" in line and "more firmly" in line for line in heard.lines)
    assert any("no longer recalled" in line and "all 2 facts together" in line for line in heard.lines)
    assert (result.activated, result.exit_code) == (True, 0)
    assert set(states(household).values()) == {"live"}
    assert len(household.patches()) == 1


def test_a_lost_fact_is_first_held_more_firmly_without_compiling_the_others(
    home: Home, household: Household, world: World, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    (first,) = list_patches(home.edits)
    teach(household, SENTENCES[1])
    ask = world.ask_facts

    def ask_facts(*arguments: Any, **options: Any) -> list[Recall]:
        world.forgotten = {"f1"} if len(fakes.COMPILED) == 2 else set()
        return ask(*arguments, **options)

    monkeypatch.setattr("homeedit.household.checking.ask_facts", ask_facts)
    result = household.compile(progress=heard)
    assert [call[0] for call in fakes.COMPILED] == [("f1",), ("f2",), ("f2",)]
    assert (result.activated, result.reasons) == (True, ())
    assert any("no longer recalled" in line and "more firmly" in line for line in heard.lines)
    assert set(states(household).values()) == {"live"}
    (firm,) = (patch for patch in list_patches(home.edits) if patch.id != first.id)
    assert firm.recipe["change_penalty"] == 2 * first.recipe["change_penalty"]


def test_a_fact_that_leaned_on_a_reverted_patch_is_taught_again_without_the_others(
    household: Household, world: World, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sentence in SENTENCES[:4]:
        teach(household, sentence)
        household.compile()
    before, ask = patches_of(household), world.ask_facts

    def ask_facts(*arguments: Any, **options: Any) -> list[Recall]:
        world.forgotten = {"f3"} if len(fakes.COMPILED) == 4 else set()
        return ask(*arguments, **options)

    monkeypatch.setattr("homeedit.household.checking.ask_facts", ask_facts)
    _, result = household.revert(["f2"], progress=heard)
    assert result.activated
    assert fakes.COMPILED[4:] == [(("f3",), (("f1",), ("f4",)))]
    assert any("no longer recalled" in line and "Teaching what was lost again" in line for line in heard.lines)
    assert [patches_of(household)[fact] for fact in ("f1", "f4")] == [before[fact] for fact in ("f1", "f4")]
    assert [states(household)[fact] for fact in ("f1", "f3", "f4")] == ["live", "live", "live"]


@pytest.mark.parametrize("mends", [1, 2, 3])
def test_what_a_firmer_hold_still_lost_is_taught_again_before_all_facts_are(
    household: Household, world: World, heard: Heard, monkeypatch: pytest.MonkeyPatch, mends: int
) -> None:
    """Of five facts the fifth costs the first; to teach that again costs the second, and that the third."""
    for sentence in SENTENCES[:4]:
        teach(household, sentence)
        household.compile()
    teach(household, SENTENCES[4])
    ask = world.ask_facts

    def ask_facts(*arguments: Any, **options: Any) -> list[Recall]:
        lost = ["f1", "f1", "f2", "f3"][: mends + 1]
        made = len(fakes.COMPILED) - 5
        world.forgotten = {lost[made]} if made < len(lost) else set()
        return ask(*arguments, **options)

    monkeypatch.setattr("homeedit.household.checking.ask_facts", ask_facts)
    assert household.compile(progress=heard).activated
    made = [call[0] for call in fakes.COMPILED[4:]]
    everything = [("f1", "f2", "f3", "f4", "f5")] if mends == 3 else []
    assert made == [("f5",), ("f5",), *[("f1",), ("f2",)][:mends], *everything]
    assert sum("Teaching what was lost again" in line for line in heard.lines) == min(mends, 2)
    assert set(states(household).values()) == {"live"}


def test_a_patch_that_costs_a_fact_is_made_anew_even_if_a_compile_was_killed_after_it(
    household: Household, world: World, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    teach(household, SENTENCES[1])
    with monkeypatch.context() as patched, pytest.raises(Cancelled):
        patched.setattr("homeedit.builds.build.make_build", lambda *_, **__: (_ for _ in ()).throw(Cancelled()))
        household.compile()
    assert [call[0] for call in fakes.COMPILED] == [("f1",), ("f2",)]
    ask = world.ask_facts

    def ask_facts(*arguments: Any, **options: Any) -> list[Recall]:
        world.forgotten = {"f1"} if len(fakes.COMPILED) == 2 else set()
        return ask(*arguments, **options)

    monkeypatch.setattr("homeedit.household.checking.ask_facts", ask_facts)
    assert household.compile(progress=heard).activated
    assert [call[0] for call in fakes.COMPILED] == [("f1",), ("f2",), ("f2",)]
    assert any("more firmly" in line for line in heard.lines)


def test_drift_of_many_patches_ends_in_one_patch_for_all(household: Household, world: World, heard: Heard) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    teach(household, SENTENCES[1])
    world.kl_when_stacked = 5.0
    result = household.compile(progress=heard)
    assert [call[0] for call in fakes.COMPILED] == [("f1",), ("f2",), ("f2",), ("f1", "f2")]
    assert any("nats" in line and "all 2 facts together" in line for line in heard.lines)
    assert result.activated and len(household.patches()) == 1


def test_a_refused_build_changes_nothing_that_is_served(home: Home, household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    before, patch = patches_of(household), household.patches()[0].id
    served = household.builds()
    teach(household, SENTENCES[1])
    world.kl = 5.0
    result = household.compile()
    assert (result.activated, result.exit_code) == (False, 1)
    assert any("nats" in reason for reason in result.reasons)
    assert household.builds() == served
    assert states(household) == {"f1": "live", "f2": "failed"}
    assert patches_of(household) == {**before, "f2": None}
    assert [each.id for each in household.patches()] == [patch]
    assert "nats" in household.fact_result("f2").refused
    assert temporary_files(home) == []
    world.kl = 0.01
    assert household.compile().activated
    assert states(household) == {"f1": "live", "f2": "live"}
    assert household.fact_result("f2").refused == ""


def test_a_refused_consolidation_gives_the_facts_their_patches_back(household: Household, world: World) -> None:
    for sentence in SENTENCES[:2]:
        teach(household, sentence)
        household.compile()
    before = patches_of(household)
    teach(household, SENTENCES[2])
    world.forgotten = {"f1"}
    result = household.compile()
    assert [call[0] for call in fakes.COMPILED[-3:]] == [("f3",), ("f1",), ("f1", "f2", "f3")]
    assert not result.activated
    assert patches_of(household) == {**before, "f3": None}
    assert states(household) == {"f1": "live", "f2": "live", "f3": "failed"}
    assert {patch.id for patch in household.patches()} == set(before.values())


def test_compiling_the_same_again_and_being_refused_does_not_delete_the_served_patch(
    household: Household, world: World
) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    before = patches_of(household)
    world.kl = 5.0
    assert not household.compile(consolidate=True).activated
    assert patches_of(household) == before
    assert len(household.patches()) == 1
    assert set(states(household).values()) == {"live"}


def test_force_overrules_the_gate_and_is_recorded(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    world.kl = 5.0
    result = household.compile(force=True)
    assert (result.activated, result.exit_code) == (True, 0)
    assert result.reasons and result.reasons[0].startswith("Overruled: ")
    assert household.builds()[0][0].forced


def test_new_facts_that_are_not_recalled_are_failed_and_served(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    world.forgotten = {"f2"}
    result = household.compile()
    assert (result.activated, result.exit_code) == (True, 3)
    assert states(household) == {"f1": "live", "f2": "failed"}


def test_verify_asks_again_and_keeps_the_answers(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    world.forgotten = {"f1"}
    result = household.verify()
    assert (result.exit_code, states(household)) == (3, {"f1": "failed", "f2": "live"})
    assert [fact.state for fact in result.facts] == ["failed", "live"]
    world.forgotten = set()
    assert household.verify(1).exit_code == 0
    with pytest.raises(HomeEditError, match="no build 7"):
        household.verify(7)


def test_verify_without_a_build_says_what_to_do(household: Household, world: World) -> None:
    with pytest.raises(HomeEditError, match="no build to verify"):
        household.verify()


def test_old_builds_are_pruned_after_activation(tmp_path: Path, household: Household, world: World) -> None:
    small = Household(fakes.make_home(tmp_path / "small", household.models()[0], keep_builds=2))
    for sentence in SENTENCES[:4]:
        teach(small, sentence)
        small.compile()
    builds, active = small.builds()
    assert ([build.number for build in builds], active) == ([3, 4], 4)


def test_another_build_can_be_used_and_compile_comes_back(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    teach(household, SENTENCES[1])
    household.compile()
    household.use(1)
    assert states(household) == {"f1": "live", "f2": "compiled"}
    household.use(None)
    assert states(household) == {"f1": "compiled", "f2": "compiled"}
    result = household.compile()
    assert (result.changed, household.builds()[1]) == (True, 3)
    assert set(states(household).values()) == {"live"}
    with pytest.raises(HomeEditError, match="no build 9"):
        household.use(9)


def test_a_truncated_active_build_is_told_and_made_anew(household: Household, world: World, heard: Heard) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    gguf = household.builds()[0][0].gguf
    gguf.write_bytes(gguf.read_bytes()[:1000])
    with pytest.raises(HomeEditError, match="truncated"):
        list(household.ask(["Where is the key?"]))
    result = household.compile(progress=heard)
    assert (result.build, result.activated, len(fakes.COMPILED)) == (2, True, 1)
    assert any("made anew" in line for line in heard.lines)
    assert len(list(household.ask(["Where is the key?"]))) == 1


def test_a_lost_patch_file_is_compiled_again(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    household.patches()[0].file.unlink()
    household.compile()
    assert [call[0] for call in fakes.COMPILED] == [("f1",), ("f1",)]
    assert states(household) == {"f1": "live"}


def test_a_patch_that_no_fact_points_at_is_deleted_by_the_next_compile(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    household.remove("f1")
    household.remove("f2")
    household.compile()
    assert household.patches() == []


def test_a_patch_of_another_base_model_stays(household: Household, world: World, tmp_path: Path) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    (own,) = household.patches()
    data = own.file.read_bytes().replace(own.fingerprint.encode(), own.fingerprint[::-1].encode())
    foreign = own.file.with_name("p00000000-foreign.safetensors")
    foreign.write_bytes(data)
    household.remove("f1")
    household.compile()
    assert [patch.id for patch in household.patches()] == ["p00000000"]


def test_a_damaged_patch_goes_once_no_fact_needs_it(home: Home, household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    (patch,) = household.patches()
    patch.file.write_bytes(b"damaged")
    (home.edits / "p00000000-lost.safetensors").write_bytes(b"damaged")
    household.edit("f2", sentence="Our plumber is called Jonas Weber.")
    household.compile()
    assert damaged_patches(home.edits) == []
    assert set(states(household).values()) == {"live"}


def test_the_recipe_sets_the_limits_and_is_in_the_manifest(
    household: Household, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(method: str, base: BaseModel) -> Recipe:
        return replace(recipe_for(method, base), most_kl=0.001)

    monkeypatch.setattr("homeedit.household.checking.recipe_for", strict)
    teach(household, SENTENCES[0])
    result = household.compile()
    assert not result.activated and "0.001" in result.reasons[0]
    household.compile(force=True)
    manifest = read_manifest(household.builds()[0][0])
    assert manifest["recipe"]["method"] == "joint"


def test_a_fact_edited_while_it_is_compiled_is_a_draft_and_comes_next(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])

    class EditMeanwhile(Progress):
        def on_stage(self, name: str, total: int | None) -> None:
            if name == "training" and total == 3:
                household.edit("f1", sentence="The spare key is under the mat.")

    household.compile(progress=EditMeanwhile())
    assert household.fact("f1").sentence == "The spare key is under the mat."
    assert states(household) == {"f1": "draft"}
    household.compile()
    assert states(household) == {"f1": "live"}


@pytest.mark.parametrize("at", ["loading", "training", "link", "merge and quantize", "verify"])
def test_cancelling_anywhere_leaves_the_served_build(home: Home, household: Household, world: World, at: str) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    served = household.builds()[1]
    teach(household, SENTENCES[1])

    class CancelAt(Progress):
        def on_stage(self, name: str, total: int | None) -> None:
            if name == at:
                self.cancel()
                self.check()

    with pytest.raises(Cancelled):
        household.compile(progress=CancelAt())
    assert household.builds()[1] == served
    assert states(household)["f1"] == "live"
    result: BuildResult = household.compile()
    assert result.activated and set(states(household).values()) == {"live"}
    assert temporary_files(home) == []


def test_a_device_that_is_not_there_is_told() -> None:
    assert chosen_device("cpu") == "cpu"
    with pytest.raises(HomeEditError, match="cuda|mps"):
        chosen_device("mps" if chosen_device("auto") != "mps" else "cuda")
