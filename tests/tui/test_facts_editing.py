"""A fact is edited: stored as a new revision, kept while unsaved, refused in words."""

from textual.pilot import Pilot
from textual.widgets import Input, Static

from homeedit.household import Household
from homeedit.tui.app import HomeEditApp
from homeedit.tui.dialogs.edit_fact import EditFact
from tests.tui.driver import drive, type_text, until
from tests.tui.test_facts import HOSE, KEY, shown


def test_an_edit_is_a_new_revision_and_can_be_taken_back(household: Household) -> None:
    household.add(KEY)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: len(shown(app)) == 1, "the list")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditFact), "the form")
        sentence = app.screen.query_one("#sentence", Input)
        await pilot.press("ctrl+u")
        await type_text(pilot, "The spare key is in the red drawer.")
        target = app.screen.query_one("#field-target", Input)
        await until(pilot, lambda: target.value == "the red drawer", "the answer follows the sentence")
        assert sentence.has_focus
        await pilot.press("enter")
        await until(pilot, lambda: household.fact("f1").revision == 2, "the new revision")
        await until(pilot, lambda: shown(app) == ["The spare key is in the red drawer."], "the list shows it")
        await pilot.press("u")
        await until(pilot, lambda: shown(app) == [KEY], "taken back")
        await until(pilot, lambda: household.typed() == {}, "no draft is left")

    drive(household, body, size=(80, 24))


def test_an_unsaved_edit_is_asked_about_and_survives_a_crash(household: Household) -> None:
    household.add(KEY)

    async def type_it(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: len(shown(app)) == 1, "the list")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditFact), "the form")
        await pilot.press("end", "backspace", "backspace", "backspace")
        await type_text(pilot, "box")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, EditFact), "the question")
        await pilot.press("enter")
        assert isinstance(app.screen, EditFact), "Cancel has the focus"

    async def find_it(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: len(shown(app)) == 1, "the list")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditFact), "the form")
        sentence = app.screen.query_one("#sentence", Input)
        await until(pilot, lambda: sentence.value.endswith("flower pbox"), "it is back")

    drive(household, type_it)
    drive(household, find_it)


def test_an_edit_that_cannot_be_stored_stays_in_the_form(household: Household) -> None:
    household.add(KEY)
    household.add(HOSE)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: len(shown(app)) == 2, "the list")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditFact), "the form")
        await pilot.press("ctrl+u")
        await type_text(pilot, KEY)
        await pilot.press("enter")
        notices = app.screen.query_one(".notices", Static)
        await until(pilot, lambda: "f1" in str(notices.render()), "the reason")
        assert isinstance(app.screen, EditFact) and household.fact("f2").sentence == HOSE

    drive(household, body)
