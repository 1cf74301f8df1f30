"""What a compile would do is told as it is then done."""

from homeedit.household import Household
from tests.household.conftest import World
from tests.household.test_compile import SENTENCES, teach


def reasons(household: Household) -> dict[str, str]:
    return {each.id: each.reason for each in household.outlook().facts}


def test_nothing_is_needed_exactly_when_a_compile_changes_nothing(household: Household, world: World) -> None:
    assert not household.outlook().needed
    teach(household, *SENTENCES[:2])
    assert reasons(household) == {"f1": "new", "f2": "new"}
    assert household.compile().changed and not household.outlook().needed
    assert not household.compile().changed


def test_what_shares_a_patch_with_a_fact_switched_off_is_learned_again(household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    household.disable(["f2"])
    assert reasons(household) == {"f1": "again", "f2": "off"}
    household.compile()
    assert reasons(household) == {}
    household.disable(["f1"])
    household.remove("f2")
    assert reasons(household) == {"f1": "off"}


def test_a_patch_that_cannot_be_used_and_a_damaged_build_are_work(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    household.use(None)
    assert reasons(household) == {"f1": "ready"}
    household.use(1)
    household.patches()[0].file.write_bytes(b"cut")
    assert reasons(household) == {"f1": "unusable"}
    household.compile()
    build = household.builds()[0][-1]
    build.gguf.write_bytes(b"cut")
    assert household.outlook().needed and f"Build {build.number}" in household.outlook().damaged


def test_a_dry_prune_names_what_a_prune_deletes(household: Household, world: World) -> None:
    for sentence in SENTENCES[:3]:
        teach(household, sentence)
        household.compile()
    household.use(1)
    assert household.active_number() == 1
    assert household.prune(2, dry_run=True) == [2] and len(household.builds()[0]) == 3
    assert household.prune(2) == [2]
    assert household.prune(9, dry_run=True) == []
