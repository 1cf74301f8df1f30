"""Many lines: judged, reviewed by keys, and stored as chosen."""

import json
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, TextArea

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.progress import Progress
from homeedit.tui.app import HomeEditApp
from homeedit.tui.dialogs.import_review import ImportReview
from homeedit.tui.dialogs.import_text import ImportText
from homeedit.tui.importing import judge, left_over, lines_of, read_lines, store
from tests.tui.driver import drive, settled, type_text, until

KEY = "The spare key is under the blue flower pot."
SIX, SEVEN = "The alarm goes off at six.", "The alarm goes off at seven."
HOSE = "The hose is behind the shed."
LINES = [HOSE, "", "Where is it?", SEVEN, KEY, "Aunt Clara lives in Bergen."]


@pytest.fixture
def known(household: Household) -> Household:
    household.add(KEY)
    household.add(SIX)
    return household


def sentences(household: Household) -> list[str]:
    return [fact.sentence for fact in household.facts()]


def states(app: HomeEditApp) -> list[tuple[str, str]]:
    table = app.screen.query_one(DataTable)
    rows = [table.get_row_at(row) for row in range(table.row_count)]
    return [(str(row[0]), str(row[1])) for row in rows]


def test_each_line_is_judged_and_nothing_is_stored(known: Household) -> None:
    reviewed = judge(known, LINES)
    assert [(each.line, each.kind, each.replaces, each.decision) for each in reviewed] == [
        (1, "new", "", "take"),
        (3, "problem", "", "leave"),
        (4, "conflict", "f2", "leave"),
        (5, "problem", "", "leave"),
        (6, "new", "", "take"),
    ]
    assert "f1" in reviewed[3].reason and "contradicts f2" in reviewed[2].reason
    assert sentences(known) == [KEY, SIX]


def test_lines_are_stored_as_they_were_chosen(known: Household) -> None:
    reviewed = judge(known, [*LINES, "The house was built in 1931."])
    reviewed[0].decision = "leave"
    reviewed[2].decision = "replace"
    stored = store(known, reviewed, Progress())
    assert sentences(known) == [KEY, SEVEN, "Aunt Clara lives in Bergen.", "The house was built in 1931."]
    assert [fact.id for fact in stored.added] == ["f3", "f4"]
    assert [fact.sentence for fact in stored.before] == [SIX]
    assert stored.problems == ()


def test_both_can_be_kept(known: Household) -> None:
    reviewed = judge(known, [SEVEN])
    reviewed[0].decision = "keep"
    stored = store(known, reviewed, Progress())
    assert sentences(known) == [KEY, SIX, SEVEN] and len(stored.added) == 1 and not stored.before


def test_two_lines_that_contradict_each_other(household: Household) -> None:
    reviewed = judge(household, [SIX, SEVEN])
    assert [(each.kind, each.replaces) for each in reviewed] == [("new", ""), ("conflict", "")]
    assert reviewed[1].fact is not None and reviewed[1].fact.sentence == SEVEN


def test_the_same_sentence_twice_and_about_something_else(known: Household) -> None:
    twice = [SEVEN, json.dumps({"sentence": SEVEN, "prompt": "The siren goes off at", "target": "seven"}), SEVEN]
    reviewed = judge(known, twice)
    assert [(each.line, each.kind, each.replaces) for each in reviewed] == [
        (1, "conflict", "f2"),
        (2, "problem", ""),
        (3, "problem", ""),
    ]
    assert "same sentence as line 1" in reviewed[1].reason


def test_what_is_left_over_is_what_was_given(known: Household) -> None:
    csv = ["sentence,question", f'{HOSE},"Where', 'is it?"', "", f"{KEY},", "Aunt Clara lives in Bergen.,"]
    reviewed = judge(known, csv)
    assert [each.line for each in reviewed] == [2, 5, 6]
    assert left_over(csv, reviewed, {5}) == [*csv[:4], csv[5]]
    assert left_over(csv, reviewed, {2, 6}) == [csv[0], csv[4]]
    assert left_over(csv, reviewed, {2, 5, 6}) == []


def test_only_line_feeds_end_a_line() -> None:
    assert lines_of("One\u2028two.\r\nThree\x0bfour.\rFive.") == ["One\u2028two.", "Three\x0bfour.", "Five."]


def test_what_was_spelled_out_in_json_and_csv_is_kept(household: Household) -> None:
    line = json.dumps({"sentence": "Zorp blem the quux.", "prompt": "The quux is", "target": "zorp", "tags": ["x"]})
    store(household, judge(household, [line]), Progress())
    csv = ["sentence,tags,question", f'"{HOSE}",garden,Where is the hose?', f"{KEY},,"]
    reviewed = judge(household, csv)
    assert [(each.line, each.text) for each in reviewed] == [(2, HOSE), (3, KEY)]
    store(household, reviewed, Progress())
    first, second, third = household.facts()
    assert (first.prompt, first.target, first.tags) == ("The quux is", "zorp", ("x",))
    assert (second.tags, second.questions) == (("garden",), ("Where is the hose?",))
    assert len(third.questions) > 1


def test_storing_keeps_every_word_that_was_reviewed(household: Household) -> None:
    lines = [KEY, SIX, HOSE, "Noah is allergic to strawberries.", "Oma's phone number ends in 5512."]
    stored = store(household, judge(household, lines), Progress())
    directly = [household.preview(line) for line in lines]
    assert [(fact.prompt, fact.target, fact.questions, fact.relation) for fact in stored.added] == [
        (parsed.prompt, parsed.target, parsed.questions, parsed.relation) for parsed in directly
    ]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(HomeEditError, match=r"nothing\.txt cannot be read"):
        read_lines(tmp_path / "nothing.txt")
    with pytest.raises(HomeEditError, match="cannot be read"):
        read_lines(tmp_path)
    (tmp_path / "facts.txt").write_bytes(b"\xef\xbb\xbfOne.\r\nTwo.\n\xff")
    assert read_lines(tmp_path / "facts.txt") == ["One.", "Two.", "\ufffd"]


def test_many_pasted_lines_are_reviewed_not_lost(known: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("a")
        await type_text(pilot, "\n".join(LINES))
        await until(pilot, lambda: isinstance(app.screen, ImportReview), "the review")
        assert states(app) == [
            ("1", "✓ new"),
            ("3", "✗ problem"),
            ("4", "? says otherwise"),
            ("5", "✗ problem"),
            ("6", "✓ new"),
        ]
        await pilot.press("space", "down", "space", "down", "r")
        assert [state for _, state in states(app)][:3] == ["– left out", "✗ problem", "✓ replaces f2"]
        await pilot.press("k")
        assert states(app)[2] == ("4", "✓ kept beside")
        await pilot.press("s")
        await until(pilot, lambda: len(known.facts()) == 4, "it is stored")
        assert sentences(known)[2:] == ["Aunt Clara lives in Bergen.", SEVEN]
        left = "\n".join([HOSE, "", "Where is it?", KEY])
        await until(pilot, lambda: known.typed().get("import") == left, "what was not stored is kept")
        await settled(pilot)
        await pilot.press("escape", "u")
        await until(pilot, lambda: sentences(known) == [KEY, SIX], "one step takes all of it back")

    drive(known, body, size=(80, 24))


def test_going_back_from_the_review_keeps_the_text(known: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("a")
        await type_text(pilot, f"{HOSE}\nAunt Clara lives in Bergen.")
        await until(pilot, lambda: isinstance(app.screen, ImportReview), "the review")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ImportText), "back to the text")
        area = app.screen.query_one(TextArea)
        assert area.text.splitlines() == [HOSE, "Aunt Clara lives in Bergen."]
        await pilot.press("enter", *"One more.")
        await pilot.press("escape")
        await settled(pilot)

    async def again(pilot: Pilot[None], app: HomeEditApp) -> None:
        await settled(pilot)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, ImportText), "the text")
        assert app.screen.query_one(TextArea).text.splitlines()[-1] == "One more."

    drive(known, body)
    drive(known, again)
    assert sentences(known) == [KEY, SIX]


def test_a_pasted_text_is_kept_below_what_was_kept_before(known: Household) -> None:
    known.keep_typed("import", "Kept before.")
    pasted = f"{HOSE}\nWhere\u2028is it?"

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        for answer in ("escape", "s"):
            await pilot.press("a")
            await type_text(pilot, pasted.replace("\u2028", " ") if answer == "escape" else pasted)
            await until(pilot, lambda: isinstance(app.screen, ImportReview), "the review")
            assert len(states(app)) == 2, "only what was pasted is reviewed"
            await pilot.press(answer)
            if answer == "escape":
                await until(pilot, lambda: isinstance(app.screen, ImportText), "the text")
                assert app.screen.query_one(TextArea).text == f"Kept before.\n{HOSE}\nWhere is it?"
                app.screen.query_one(TextArea).text = "Kept before."
                await pilot.pause()
                await pilot.press("escape")
        await until(pilot, lambda: known.typed().get("import") == "Kept before.\nWhere\u2028is it?", "the rest is kept")

    drive(known, body)


def test_a_file_is_imported(known: Household, tmp_path: Path) -> None:
    known.keep_typed("import", "Something else.")
    file = tmp_path / "my facts.txt"
    file.write_text(f"{HOSE}\n", encoding="utf-8")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await settled(pilot)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, ImportText), "the text")
        app.screen.query_one(Input).focus()
        await type_text(pilot, str(tmp_path / "my"))
        field = app.screen.query_one(Input)
        await until(pilot, lambda: field._suggestion == str(file), "the suggestion")
        await pilot.press("right", "enter")
        await until(pilot, lambda: isinstance(app.screen, ImportReview), "the review")
        await pilot.press("s")
        await until(pilot, lambda: sentences(known)[-1] == HOSE, "it is stored")
        await settled(pilot)
        assert known.typed() == {"import": "Something else."}

    drive(known, body)


def test_nothing_to_review_and_a_missing_file_are_told_in_the_dialog(known: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await settled(pilot)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, ImportText), "the text")
        await pilot.press("ctrl+s")
        wrong = app.screen.query_one(".wrong")
        assert "nothing to review" in str(wrong.render())
        app.screen.query_one(Input).value = "/no/such/[file]"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "cannot be read" in str(wrong.render()), "the reason")
        assert "[file]" in str(wrong.render()) and isinstance(app.screen, ImportText)

    drive(known, body)
