"""The facts pane: the list, adding, searching, deleting; driven by keys against a real household."""

import sqlite3
import time
from pathlib import Path
from typing import Any, cast

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static, TextArea

from homeedit.household import Household
from homeedit.household.teaching import SECRET_WARNING
from homeedit.settings import Home
from homeedit.tui.app import HomeEditApp
from homeedit.tui.dialogs.confirm import Choice
from homeedit.tui.dialogs.edit_fact import EditFact
from homeedit.tui.dialogs.fact_details import FactDetailsDialog
from homeedit.tui.dialogs.tags import TagsDialog
from homeedit.tui.panes.facts import FactsPane
from homeedit.tui.widgets.fact_fields import FactFields
from homeedit.tui.widgets.facts_table import FactsTable
from tests.household.conftest import World
from tests.support.counted import Calls
from tests.tui.driver import drive, settled, type_text, until

KEY = "The spare key is under the blue flower pot."
HOSE = "The hose is behind the shed."
ODD = "The [red]key[/] of [link=x]Zoë's 🏡 玄関[/link] is [/]."


def pane_of(app: HomeEditApp) -> FactsPane:
    return cast(FactsPane, app.pane("facts"))


def shown(app: HomeEditApp) -> list[str]:
    """The sentences in the list, as they are in its cells."""
    table = app.query_one(FactsTable)
    return [str(table.get_row_at(row)[1]) for row in range(table.row_count)]


def counted(app: HomeEditApp) -> str:
    return str(app.screen_stack[0].query_one(".counted", Static).content)


def preview(app: HomeEditApp) -> str:
    """What stands below the line, as a person reads it."""
    static = app.screen_stack[0].query_one(".preview", Static)
    if not static.display:
        return ""
    return "\n".join(static.render_line(y).text.rstrip() for y in range(static.size.height))


def sentences(household: Household) -> list[str]:
    return [fact.sentence for fact in household.facts()]


async def add(pilot: Pilot[None], app: HomeEditApp, sentence: str) -> None:
    """Type a sentence and press Enter."""
    await pilot.press("a")
    await type_text(pilot, sentence)
    await pilot.press("enter")
    await settled(pilot)


def said(app: HomeEditApp) -> str:
    return "\n".join(app.journal)


def test_facts_are_listed_newest_first_with_state_in_words(household: Household) -> None:
    household.add(KEY)
    household.add(HOSE, tags=["garden"])
    household.disable(["f1"])

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: shown(app) == [HOSE, KEY], "the facts are listed")
        table = app.query_one(FactsTable)
        assert [str(table.get_row_at(row)[0]) for row in (0, 1)] == ["○ draft", "– disabled"]
        assert str(table.get_row_at(0)[2]) == "garden"
        assert app.focused is table
        assert "2 facts" in counted(app) and "1 to compile" in counted(app)

    drive(household, body)


def test_a_sentence_is_previewed_while_it_is_typed_and_enter_stores_it(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("a", *"Our cat is named Pixel")
        await until(pilot, lambda: "Pixel" in preview(app), "the preview")
        assert "Subject" in preview(app) and "Answer" in preview(app) and "Questions" in preview(app)
        assert not household.facts()
        await pilot.press("enter")
        await until(pilot, lambda: shown(app) == ["Our cat is named Pixel"], "the fact is listed")
        assert app.query_one("#add-input", Input).value == "" and preview(app) == ""
        assert app.focused is app.query_one("#add-input"), "the line is ready for the next sentence"
        await pilot.press("escape")
        assert app.focused is app.query_one(FactsTable)

    drive(household, body)


def test_what_was_understood_can_be_spelled_out(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("a")
        await type_text(pilot, KEY)
        await pilot.press("ctrl+e")
        fields = app.query_one(FactFields)
        await until(pilot, lambda: fields.query_one("#field-target", Input).value, "the guess is in the form")
        assert fields.explicit == {}
        assert app.focused is fields.query_one("#field-subject")
        await pilot.press("ctrl+u", *"key")
        fields.query_one(TextArea).focus()
        await pilot.press("ctrl+a", "ctrl+shift+end")
        fields.query_one(TextArea).text = "Where is it?\n\nSay where the key is."
        await until(pilot, lambda: len(fields.explicit) == 2, "both are explicit")
        fields.query_one("#field-subject").focus()
        await pilot.press("enter")
        await until(pilot, lambda: household.facts(), "it is stored")
        (fact,) = household.facts()
        assert (fact.subject, fact.questions) == ("key", ("Where is it?", "Say where the key is."))
        assert fact.target == "the blue flower pot"
        await settled(pilot)
        assert fields.explicit == {}, "the next sentence begins anew"

    drive(household, body, size=(80, 24))


def test_a_sentence_that_is_not_understood_says_why_and_stays(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("a")
        await type_text(pilot, "Where is the key?")
        await until(pilot, lambda: "✗" in preview(app), "the reason")
        await pilot.press("enter")
        await settled(pilot)
        assert app.query_one("#add-input", Input).value == "Where is the key?"
        assert not household.facts()

    drive(household, body)


def test_a_duplicate_is_shown_and_not_stored_twice(household: Household) -> None:
    household.add(KEY)
    household.add(HOSE)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("a")
        await type_text(pilot, KEY.lower())
        await until(pilot, lambda: "Known already: f1" in preview(app), "the duplicate in the preview")
        await pilot.press("enter")
        await settled(pilot)
        assert len(household.facts()) == 2 and "Known already: f1" in said(app)
        assert app.query_one(FactsTable).current.fact.id == "f1", "the cursor shows it"  # type: ignore[union-attr]

    drive(household, body)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("enter",), ["The alarm goes off at six."]),
        (("right", "enter"), ["The alarm goes off at seven."]),
        (("right", "right", "enter"), ["The alarm goes off at six.", "The alarm goes off at seven."]),
        (("escape",), ["The alarm goes off at six."]),
    ],
    ids=["cancel has the focus", "replace", "keep both", "escape"],
)
def test_a_contradiction_is_asked_about(household: Household, keys: tuple[str, ...], expected: list[str]) -> None:
    household.add("The alarm goes off at six.")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("a")
        await type_text(pilot, "The alarm goes off at seven.")
        await until(pilot, lambda: "Says otherwise: f1" in preview(app), "the contradiction in the preview")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Choice), "the question")
        await pilot.press(*keys)
        await settled(pilot)
        assert sentences(household) == expected
        kept = app.query_one("#add-input", Input).value
        assert bool(kept) == (len(keys) == 1), "what was typed is only gone when it was stored"

    drive(household, body)


def test_a_warning_about_secrets_is_shown(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await add(pilot, app, "The alarm code is 1111.")
        await until(pilot, lambda: SECRET_WARNING in said(app), "the warning")

    drive(household, body)


def test_no_text_is_read_as_markup(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("a")
        await type_text(pilot, ODD)
        await settled(pilot)
        await pilot.press("ctrl+e")
        await settled(pilot)
        assert household.add(ODD, subject="key", prompt=ODD.removesuffix(" [/]."), target="[/]").sentence == ODD
        app.changed()
        await until(pilot, lambda: shown(app) == [ODD], "the very characters")
        pane_of(app).focus_first()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, FactDetailsDialog), "the details")
        await pilot.press("escape", "d")
        await until(pilot, lambda: isinstance(app.screen, Choice), "the question")
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(app.screen, EditFact), "the form")
        await pilot.press("escape", "t")
        await until(pilot, lambda: isinstance(app.screen, TagsDialog), "the tags")

    drive(household, body, size=(200, 50))


def test_a_very_long_sentence_is_refused_in_words(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("a")
        await type_text(pilot, "The key is " + "very " * 400 + "far away.")
        await until(pilot, lambda: "✗" in preview(app), "the reason")
        await pilot.press("enter")
        await settled(pilot)
        assert len(app.query_one("#add-input", Input).value) > 2000 and not household.facts()

    drive(household, body, size=(80, 24))


def test_an_empty_list_offers_three_sentences(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: pane_of(app).has_class("-empty"), "the empty state")
        assert isinstance(app.focused, Button)
        await pilot.press("8")
        await until(pilot, lambda: "Answer" in preview(app), "the second example in the line")
        await pilot.press("enter")
        await until(pilot, lambda: len(shown(app)) == 1, "it is stored")
        assert not pane_of(app).has_class("-empty")

    drive(household, body, size=(80, 24))


def test_without_a_home_one_is_offered(tmp_path: Path) -> None:
    called: list[str] = []

    def set_up(household: Household, method: str, *_: Any, **__: Any) -> None:
        called.append(method)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: pane_of(app).has_class("-unreadable"), "it says so")
        await until(pilot, lambda: isinstance(app.focused, Button), "the button has the focus")
        await pilot.press("enter")
        await until(pilot, lambda: called == ["init"], "init runs")

    drive(Household(Home(tmp_path / "nowhere")), body, call_apart=set_up)


def test_a_damaged_ledger_is_told_and_can_be_tried_again(household: Household) -> None:
    household.add(KEY)
    whole = household.home.ledger.read_bytes()
    household.home.ledger.write_bytes(b"nonsense" * 100)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: pane_of(app).has_class("-unreadable"), "it says so")
        household.home.ledger.write_bytes(whole)
        await until(pilot, lambda: isinstance(app.focused, Button), "the button has the focus")
        await pilot.press("enter")
        await until(pilot, lambda: shown(app) == [KEY], "it is read again")

    drive(household, body)


def test_what_stands_in_the_line_survives_the_end_of_the_app(household: Household) -> None:
    async def type_it(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("a")
        await type_text(pilot, KEY)
        await pilot.press("ctrl+e", "ctrl+u", *"key")
        await settled(pilot)

    async def find_it(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: app.query_one("#add-input", Input).value == KEY, "the sentence is back")
        assert app.query_one(FactFields).explicit == {"subject": "key"}
        await pilot.press("a", "enter")
        await until(pilot, lambda: household.facts(), "it is stored")
        await until(pilot, lambda: household.typed() == {}, "no draft is left")

    drive(household, type_it)
    drive(household, find_it)
    assert household.facts()[0].subject == "key"


def test_facts_can_be_added_while_a_compile_runs(household: Household, world: World) -> None:
    household.add(KEY)
    stop: list[bool] = []

    def compile_slowly(household: Household, method: str, *_: Any, **__: Any) -> None:
        end = time.monotonic() + 15
        while not stop and time.monotonic() < end:
            time.sleep(0.01)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: len(shown(app)) == 1, "the list")
        await pilot.press("c")
        await until(pilot, lambda: app.work is not None and app.work.running, "it compiles")
        assert app.panes.current == "compile"
        app.action_show("facts")
        await settled(pilot)
        await add(pilot, app, HOSE)
        await until(pilot, lambda: shown(app) == [HOSE, KEY], "added meanwhile")
        assert app.work is not None and app.work.running
        stop.append(True)
        await until(pilot, lambda: app.work is not None and not app.work.running, "the end")

    drive(household, body, call_apart=compile_slowly)


def test_a_thousand_facts_stay_fluid(household: Household) -> None:
    lines = [f"The box number {number} is on the {number % 40}th shelf." for number in range(1000)]
    household.import_facts(lines)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        table = app.query_one(FactsTable)
        await until(pilot, lambda: table.row_count == 1000, "all are listed")
        pane = pane_of(app)
        with Calls() as unchanged:
            pane._show()
        await pilot.press("slash", *"39th")
        await until(pilot, lambda: "25 of 1000" in counted(app), "the search")
        assert table.row_count == 25
        assert unchanged.number < 20_000, "nothing is built anew when nothing changed"

    drive(household, body)


def test_pasting_beside_an_input_fills_the_line(household: Household) -> None:
    household.add(KEY)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: len(shown(app)) == 1, "the list")
        pane_of(app).focus_first()
        app.query_one(FactsTable).post_message(events.Paste(HOSE))
        await until(pilot, lambda: app.query_one("#add-input", Input).value == HOSE, "it is in the line")
        assert app.focused is app.query_one("#add-input")

    drive(household, body)


def test_a_ledger_that_is_busy_is_an_error_in_words(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    household.add(KEY)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: len(shown(app)) == 1, "the list")

        def fail(*_: object, **__: object) -> None:
            raise sqlite3.OperationalError("database is locked")

        monkeypatch.setattr(household, "disable", fail)
        await pilot.press("space")
        await until(pilot, lambda: "database is locked" in said(app), "the app lives on")
        assert shown(app) == [KEY]

    drive(household, body)
