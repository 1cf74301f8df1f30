"""CSV and tags in imports."""

import pytest

from homeedit.household import Household
from homeedit.household.results import BadLine

KEY = "The spare key is under the blue flower pot."


def test_csv_with_a_header(household: Household) -> None:
    imported = household.import_facts(
        [
            "Tags,Sentence,question,questions,target",
            f'"Door, keys",{KEY},Where is it?,Key?|  The key? ,',
            ",,,,",
            '"",Zorp blem the quux.,,,',
            "garden;old,The rake is in the shed.,,,the shed",
        ]
    )
    assert [(fact.sentence, fact.tags) for fact in imported.facts] == [
        (KEY, ("door", "keys")),
        ("The rake is in the shed.", ("garden", "old")),
    ]
    assert imported.facts[0].questions[:3] == ("Where is it?", "Key?", "The key?")
    assert [problem.line for problem in imported.problems] == [4]
    assert list(imported.facts) == household.facts()


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_as_other_programs_write_it(household: Household, separator: str) -> None:
    lines = [f"\ufeffsentence{separator}tags", f'"The vase is red, green."{separator}hall', f"{KEY}{separator}"]
    assert [fact.tags for fact in household.import_facts(lines).facts] == [("hall",), ()]


def test_everything_can_be_said_in_csv(household: Household) -> None:
    lines = ["sentence,subject,prompt,target,question,question", "Zorp blem the quux.,quux,The quux is,zorp,What?,Why?"]
    (fact,) = household.import_facts(lines).facts
    assert (fact.subject, fact.prompt, fact.target, fact.questions) == (
        "quux",
        "The quux is",
        "zorp",
        ("What?", "Why?"),
    )


def test_bad_rows_are_told_by_their_line_and_the_others_stored(household: Household) -> None:
    lines = [
        "sentence,tags",
        "The red vase, the tall one, is in the hall.,x",
        "The rake is in the shed.,two words",
        "The hose is in the garage.,this-tag-is-much-too-long-to-be-a-tag",
        '"The drill is',
        'in the cellar.",x',
        '"The saw" is in the cellar.,x',
        "{},",
        KEY.lower() + ",x",
        KEY,
    ]
    imported = household.import_facts(lines)
    problems = {problem.line: problem for problem in imported.problems}
    assert sorted(problems) == [2, 4, 7, 8, 10]
    assert "4 cells under 2 columns" in problems[2].message and "quotes" in problems[2].hint
    assert "tag" in problems[4].message and "CSV" in problems[7].message and "line 9" in problems[10].message
    assert [(fact.sentence, fact.tags) for fact in imported.facts] == [
        ("The rake is in the shed.", ("two", "words")),
        ("The drill is in the cellar.", ("x",)),
        (KEY.lower(), ("x",)),
    ]


def test_a_quote_that_is_not_closed_is_told_where_it_begins(household: Household) -> None:
    imported = household.import_facts(["sentence", KEY, '"The rake is in the shed.', "The hose is in the garage."])
    assert [fact.sentence for fact in imported.facts] == [KEY]
    assert [problem.line for problem in imported.problems] == [3]


def test_a_column_that_is_not_known_stops_the_import(household: Household) -> None:
    imported = household.import_facts(["sentence,colour", f"{KEY},green"])
    (problem,) = imported.problems
    assert isinstance(problem, BadLine) and problem.line == 1 and "'colour'" in problem.message
    assert imported.facts == () and household.facts() == []


def test_a_first_sentence_with_commas_is_no_header(household: Household) -> None:
    imported = household.import_facts(["The last sentence, of Tom, is in the book.", KEY])
    assert KEY in [fact.sentence for fact in imported.facts]
    assert household.import_facts([]).facts == () and household.import_facts(["sentence"]).problems == ()


def test_tags_in_json_lines(household: Household) -> None:
    lines = [
        '{"sentence": "The rake is in the shed.", "tags": ["Garden", "tools"]}',
        '{"sentence": "The hose is in the shed.", "tags": "garden"}',
        '{"sentence": "The saw is in the shed.", "tags": ["two words"]}',
    ]
    preview = household.import_facts(lines, dry_run=True)
    assert [fact.tags for fact in preview.facts] == [("garden", "tools")]
    imported = household.import_facts(lines)
    assert [problem.line for problem in imported.problems] == [2, 3]
    assert household.fact("f1").tags == ("garden", "tools")


def test_an_import_that_replaces_keeps_tags_unless_it_has_some(household: Household) -> None:
    household.add("The alarm code is 1111.", tags=["safe"])
    for line, tags in (
        ('{"sentence": "The alarm code is 2222."}', ("safe",)),
        ('{"sentence": "The alarm code is 3333.", "tags": ["b"]}', ("b",)),
    ):
        assert household.import_facts([line], dry_run=True, on_conflict="replace").facts[0].tags == tags
        household.import_facts([line], on_conflict="replace")
        assert household.fact("f1").tags == tags
