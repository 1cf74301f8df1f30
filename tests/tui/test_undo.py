"""Taking changes back, several levels, without an app around it."""

import pytest

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.tui.undo import UndoStack, take_back

KEY = "The spare key is under the blue flower pot."
HOSE = "The hose is behind the shed."


def test_changes_are_taken_back_in_reverse_order(household: Household) -> None:
    stack = UndoStack()
    first = household.add(KEY)
    stack.push("added f1", added=[first.id])
    household.edit("f1", sentence="The spare key is in the red drawer.")
    stack.push("changed f1", before=[first])
    edited = household.fact("f1")
    household.disable(["f1"])
    stack.push("switched off f1", before=[edited])
    titles = []
    while (step := stack.pop()) is not None:
        take_back(household, step)
        titles.append((step.title, [(fact.sentence, fact.enabled) for fact in household.facts()]))
    assert titles == [
        ("switched off f1", [("The spare key is in the red drawer.", True)]),
        ("changed f1", [(KEY, True)]),
        ("added f1", []),
    ]


def test_a_removed_fact_comes_back_as_it_was(household: Household) -> None:
    stack = UndoStack()
    fact = household.add(KEY, tags=["door"])
    household.remove(fact.id)
    stack.push("deleted f1", before=[fact])
    step = stack.pop()
    assert step is not None
    take_back(household, step)
    (back,) = household.facts()
    assert (back.id, back.sentence, back.tags, back.revision) == ("f1", KEY, ("door",), 1)


def test_one_step_takes_a_whole_import_back(household: Household) -> None:
    stack = UndoStack()
    old = household.add(KEY)
    household.edit("f1", sentence="The spare key is in the red drawer.")
    new = household.import_facts([HOSE, "Aunt Clara lives in Bergen."]).facts
    stack.push("imported 3 facts", before=[old], added=[fact.id for fact in new])
    step = stack.pop()
    assert step is not None
    take_back(household, step)
    assert [fact.sentence for fact in household.facts()] == [KEY]


def test_a_purged_fact_is_forgotten(household: Household) -> None:
    stack = UndoStack()
    key, hose = household.add(KEY), household.add(HOSE)
    stack.push("added f1", added=[key.id])
    stack.push("tagged both", before=[key, hose])
    stack.forget("f1")
    assert len(stack) == 1
    step = stack.pop()
    assert step is not None and [fact.id for fact in step.before] == ["f2"]


def test_what_is_gone_cannot_be_put_back(household: Household) -> None:
    stack = UndoStack()
    fact = household.add(KEY)
    stack.push("switched f1", before=[fact])
    household.purge("f1")
    step = stack.pop()
    assert step is not None
    with pytest.raises(HomeEditError, match="f1"):
        take_back(household, step)


def test_the_stack_has_an_end() -> None:
    stack = UndoStack()
    for number in range(500):
        stack.push(f"added f{number}", added=[f"f{number}"])
    assert len(stack) == 200
    step = stack.pop()
    assert step is not None and step.title == "added f499"


def test_a_step_that_was_half_taken_back_is_taken_back_again(household: Household) -> None:
    stack = UndoStack()
    added = household.import_facts([KEY, HOSE]).facts
    stack.push("imported 2 facts", added=[fact.id for fact in added])
    step = stack.pop()
    assert step is not None
    household.remove("f1")
    stack.push_step(step)
    assert stack.pop() is step
    take_back(household, step)
    assert household.facts() == []
