"""Sentences going into the ledger: one by one and many at once."""

import pytest

from homeedit.errors import HomeEditError
from homeedit.household import Contradiction, Household
from homeedit.household.teaching import SECRET_WARNING, looks_secret
from homeedit.settings import Home
from tests.household.conftest import Heard

KEY = "The spare key is under the blue flower pot."


def sentences(household: Household) -> list[str]:
    return [fact.sentence for fact in household.facts()]


def test_a_sentence_is_stored_as_a_draft(household: Household) -> None:
    fact = household.add(KEY)
    assert (fact.id, fact.state, fact.enabled, fact.patch) == ("f1", "draft", True, None)
    assert household.fact("f1") == fact
    assert fact.target == "the blue flower pot" and fact.questions


def test_everything_can_be_said_explicitly(household: Household) -> None:
    fact = household.add(
        "Zorp blem the quux.", subject="quux", prompt="The quux is", target="zorp", questions=["What?"]
    )
    assert (fact.subject, fact.prompt, fact.target, fact.questions) == (
        "quux",
        "The quux is",
        "zorp",
        ("What?",),
    )


def test_the_same_sentence_is_known_already(household: Household) -> None:
    household.add(KEY)
    with pytest.raises(HomeEditError, match="Already known as f1") as caught:
        household.add(f"  {KEY[:-1].lower()}")
    assert "fact edit f1" in caught.value.hint
    household.disable(["f1"])
    with pytest.raises(HomeEditError) as caught:
        household.add(KEY)
    assert "fact enable f1" in caught.value.hint
    assert sentences(household) == [KEY]


def test_a_contradiction_is_refused_replaced_or_kept(household: Household) -> None:
    household.add("The alarm code is 1111.")
    with pytest.raises(Contradiction) as caught:
        household.add("The alarm code is 2222.")
    assert caught.value.exit_code == 2
    assert "f1" in caught.value.message and "1111" in caught.value.message and "2222" in caught.value.message
    assert "--replace" in caught.value.hint and "--keep-both" in caught.value.hint
    assert sentences(household) == ["The alarm code is 1111."]
    replaced = household.add("The alarm code is 2222.", on_conflict="replace")
    assert (replaced.id, replaced.revision) == ("f1", 2)
    household.add("The alarm code is 3333.", on_conflict="keep")
    assert sentences(household) == ["The alarm code is 2222.", "The alarm code is 3333."]
    with pytest.raises(HomeEditError, match="several facts: f1, f2"):
        household.add("The alarm code is 4444.", on_conflict="replace")


def test_a_code_brings_one_warning(household: Household, heard: Heard) -> None:
    household.add("The alarm code is 1111.", progress=heard)
    assert heard.lines == [SECRET_WARNING]
    household.add(KEY, progress=heard)
    assert len(heard.lines) == 1
    household.import_facts(["The gate code is 1.", "The Wi-Fi password is hunter2."], progress=heard)
    assert heard.lines == [SECRET_WARNING] * 2


@pytest.mark.parametrize(
    ("sentence", "secret"),
    [
        ("The PIN of the card is 1234.", True),
        ("The Wi-Fi password is tulip.", True),
        ("The safe's combination is 1 2 3.", True),
        ("The spinning wheel is in the attic.", False),
        ("The pine table is in the garden.", False),
    ],
)
def test_what_looks_secret(sentence: str, secret: bool) -> None:
    assert looks_secret(sentence) is secret


@pytest.mark.parametrize(
    "hostile",
    ["", "   ", "x" * 10_000, "The key is under\x00 the pot.", "The key is under \x1b[31mthe pot.", "%s", "{}"],
)
def test_what_cannot_be_a_fact_is_refused_and_nothing_is_stored(household: Household, hostile: str) -> None:
    with pytest.raises(HomeEditError) as caught:
        household.add(hostile)
    assert caught.value.exit_code == 2 and caught.value.message and caught.value.hint
    assert household.facts() == []


@pytest.mark.parametrize(
    "odd",
    [
        "The colour of the door is [red]crimson[/red].",
        "The robot's name is Robert'); DROP TABLE facts;--.",
        "The format string is %s %d {0}.",
        "The cat's name is 猫の名前.",
    ],
)
def test_odd_text_is_kept_letter_by_letter(household: Household, odd: str) -> None:
    household.add(odd)
    assert sentences(household) == [odd]


def test_an_edit_makes_a_new_revision_with_the_rest_as_it_was(household: Household) -> None:
    household.add(KEY, questions=["Where is it?"])
    changed = household.edit("f1", questions=["Where is the spare key?", "Key?"])
    assert (changed.revision, changed.sentence, changed.prompt) == (2, KEY, "The spare key is under")
    assert changed.questions == ("Where is the spare key?", "Key?")
    changed = household.edit("1", sentence="The spare key is on the red hook.")
    assert (changed.revision, changed.target) == (3, "the red hook")
    assert changed.questions != ("Where is the spare key?", "Key?")
    household.add("The rake is in the shed.")
    with pytest.raises(HomeEditError, match="Already known as f2"):
        household.edit("f1", sentence="The rake is in the shed.")
    with pytest.raises(HomeEditError, match="no fact f9"):
        household.edit("f9", sentence=KEY)


def test_an_edit_that_contradicts_another_fact_is_told(household: Household, heard: Heard) -> None:
    household.add("The rake is in the shed.")
    household.add(KEY)
    household.edit("f2", sentence="The rake is in the garage.", progress=heard)
    assert any("contradicts f1" in line for line in heard.lines)


def test_removing_and_switching(household: Household) -> None:
    household.add(KEY)
    household.add("The rake is in the shed.")
    assert [fact.enabled for fact in household.disable(["f1", "2", "f1"])] == [False, False]
    assert [fact.id for fact in household.enable(["f2"])] == ["f2"]
    with pytest.raises(HomeEditError, match="no fact f9"):
        household.enable(["f1", "f9"])
    assert household.fact("f1").enabled is False
    household.remove("f1")
    assert sentences(household) == ["The rake is in the shed."]
    with pytest.raises(HomeEditError, match="no fact f1"):
        household.remove("f1")


LINES = [
    KEY,
    "",
    "Where is the rake?",
    '{"sentence": "The rake is in the shed.", "questions": ["Rake?"]}',
    '{"sentence": "The hose is in the shed.", "colour": "green"}',
    '{"sentence": 3}',
    '{"sentence": "The drill is in the shed."',
    '{"sentence": "The saw is in the shed.", "questions": "Where?"}',
    KEY.lower(),
    "The spare key is under the mat.",
    "The attic is the coldest room.",
]


def test_an_import_stores_the_good_lines_and_lists_the_bad(household: Household) -> None:
    imported = household.import_facts(LINES)
    assert [problem.line for problem in imported.problems] == [3, 5, 6, 7, 8, 9, 10]
    assert all(problem.message for problem in imported.problems)
    reasons = {problem.line: problem.message for problem in imported.problems}
    assert "line 1" in reasons[9] and "line 1" in reasons[10] and "colour" in reasons[5]
    assert sentences(household) == [KEY, "The rake is in the shed.", "The attic is the coldest room."]
    assert household.fact("f2").questions == ("Rake?",)


def test_a_dry_run_stores_nothing(household: Household) -> None:
    imported = household.import_facts(LINES, dry_run=True)
    assert [fact.id for fact in imported.facts] == ["new", "new", "new"]
    assert len(imported.problems) == 7
    assert household.facts() == []


def test_an_import_against_what_is_known(household: Household) -> None:
    household.add("The rake is in the shed.")
    lines = ["The rake is in the garage.", "The rake is in the shed."]
    refused = household.import_facts(lines)
    assert [problem.line for problem in refused.problems] == [1, 2] and "f1" in refused.problems[0].message
    kept = household.import_facts(lines[:1], on_conflict="keep")
    assert [fact.id for fact in kept.facts] == ["f2"]
    household.remove("f2")
    replaced = household.import_facts(lines[:1], on_conflict="replace")
    assert [(fact.id, fact.revision) for fact in replaced.facts] == [("f1", 2)]
    assert sentences(household) == ["The rake is in the garage."]


def test_contradictions_within_an_import_can_both_be_kept(household: Household) -> None:
    lines = ["The rake is in the shed.", "The rake is in the garage."]
    assert [problem.line for problem in household.import_facts(lines, dry_run=True).problems] == [2]
    assert len(household.import_facts(lines, on_conflict="keep").facts) == 2


def test_a_thousand_lines_are_quick_and_whole(household: Household) -> None:
    lines = [f"The tool number {number} is in box {number}." for number in range(1000)]
    assert len(household.import_facts(lines).facts) == 1000
    assert len(household.facts()) == 1000


def test_a_folder_that_is_no_home_says_so(tmp_path: object, home: Home) -> None:
    nowhere = Household(Home(home.root / "nowhere"))
    for call in (nowhere.facts, lambda: nowhere.add(KEY), nowhere.compile):
        with pytest.raises(HomeEditError, match="not a home") as caught:
            call()
        assert "homeedit init" in caught.value.hint
    assert not nowhere.home.root.exists()
