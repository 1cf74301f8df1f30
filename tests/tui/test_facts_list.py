"""The list of facts: search, filters, order, switching, deleting, details, tags."""

from textual.pilot import Pilot
from textual.widgets import Static

from homeedit.household import Household
from homeedit.tui.app import HomeEditApp
from homeedit.tui.dialogs.confirm import Choice
from homeedit.tui.dialogs.edit_fact import EditFact
from homeedit.tui.dialogs.fact_details import FactDetailsDialog
from homeedit.tui.dialogs.purged import PurgedDialog
from homeedit.tui.widgets.facts_table import FactsTable
from tests.household.conftest import World
from tests.tui.driver import drive, settled, until
from tests.tui.test_facts import HOSE, KEY, counted, said, sentences, shown


def test_search_filters_while_it_is_typed(household: Household) -> None:
    household.add(KEY)
    household.add(HOSE)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("slash", *"flower")
        await until(pilot, lambda: shown(app) == [KEY], "only what matches")
        assert "1 of 2" in counted(app)
        await pilot.press("enter")
        assert app.focused is app.query_one(FactsTable), "Enter leads to the list, the filter stays"
        assert shown(app) == [KEY]
        await pilot.press("escape")
        assert shown(app) == [HOSE, KEY] and "2 facts" in counted(app)

    drive(household, body)


def test_filters_by_state_and_tag(household: Household) -> None:
    household.add(KEY, tags=["door"])
    household.add(HOSE)
    household.disable(["f2"])

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("s")
        assert shown(app) == [KEY] and "1 of 2" in counted(app) and "draft" in counted(app)
        await pilot.press("s")
        assert shown(app) == [HOSE] and "disabled" in counted(app)
        await pilot.press("s", "g", "down", "enter")
        await settled(pilot)
        assert shown(app) == [KEY] and "tag door" in counted(app)
        await pilot.press("escape")
        assert len(shown(app)) == 2

    drive(household, body)


def test_the_cursor_stays_on_its_fact(household: Household) -> None:
    for number in range(30):
        household.add(f"The box number {number} is in the cellar.")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        table = app.query_one(FactsTable)
        await until(pilot, lambda: table.row_count == 30, "the list")
        await pilot.press(*["down"] * 7)
        assert table.current.fact.id == "f23"  # type: ignore[union-attr]
        household.add(KEY)
        household.remove("f25")
        app.changed()
        await until(pilot, lambda: shown(app)[0] == KEY, "the new list")
        assert table.current.fact.id == "f23"  # type: ignore[union-attr]
        await pilot.press("o", "o")
        assert table.current.fact.id == "f23" and shown(app) == sorted(shown(app))  # type: ignore[union-attr]

    drive(household, body, size=(80, 24))


def test_a_click_on_a_header_orders_and_again_reverses(household: Household) -> None:
    for sentence in (KEY, HOSE, "Aunt Clara lives in Bergen."):
        household.add(sentence)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.click(FactsTable, offset=(16, 0))
        await settled(pilot)
        assert shown(app)[0].startswith("Aunt")
        await pilot.click(FactsTable, offset=(16, 0))
        await settled(pilot)
        assert shown(app)[-1].startswith("Aunt")

    drive(household, body)


def test_switching_deleting_and_taking_back(household: Household) -> None:
    household.add(KEY)
    household.add(HOSE)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("space")
        await until(pilot, lambda: not household.fact("f2").enabled, "f2 is off")
        await settled(pilot)
        assert str(app.query_one(FactsTable).get_row_at(0)[0]) == "– disabled"
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Choice), "the question")
        assert app.focused is app.screen.query_one("#cancel")
        await pilot.press("enter")
        await settled(pilot)
        assert len(household.facts()) == 2, "Cancel has the focus"
        await pilot.press("d", "right", "enter")
        await until(pilot, lambda: sentences(household) == [KEY], "off the list")
        await settled(pilot)
        await pilot.press("u")
        await until(pilot, lambda: sentences(household) == [KEY, HOSE], "back")
        await settled(pilot)
        assert not household.fact("f2").enabled, "as it was before"
        await pilot.press("u")
        await until(pilot, lambda: household.fact("f2").enabled, "the switch is back as well")
        await settled(pilot)
        assert "Taken back: switched off f2" in said(app)
        await pilot.press("u")
        await settled(pilot)
        assert "nothing to take back" in said(app)

    drive(household, body)


def test_deleting_everywhere_shows_that_recall_fails_now(household: Household, world: World) -> None:
    household.add(KEY)
    household.add(HOSE)
    household.compile()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: len(shown(app)) == 2, "the list")
        assert str(app.query_one(FactsTable).get_row_at(0)[0]) == "✓ live"
        assert "1/1" in [str(cell) for cell in app.query_one(FactsTable).get_row_at(0)]
        world.forgotten = {"f2"}
        await pilot.press("space", "d")
        await settled(pilot)
        await pilot.press("right", "right", "enter")
        await until(pilot, lambda: isinstance(app.screen, PurgedDialog), "the proof")
        shown_proof = "\n".join(str(each.render()) for each in app.screen.query(Static))
        assert "no longer says it" in shown_proof and "not recalled: " in shown_proof
        await pilot.press("escape")
        await settled(pilot)
        assert shown(app) == [KEY]
        assert len(app.undo_stack) == 0, "a purge cannot be taken back, nor what was done to the fact before"

    drive(household, body)


def test_details_hold_questions_answers_and_former_wordings(household: Household, world: World) -> None:
    household.add("The bins are emptied on Monday.")
    household.edit("f1", sentence="The bins are emptied on Tuesday.")
    household.compile()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: len(shown(app)) == 1, "the list")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, FactDetailsDialog), "the details")
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "✓" in text and "right: an answer" in text
        assert "Former wordings" in text and "Monday" in text
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditFact), "on to the form")

    drive(household, body)


def test_tags_are_given_and_shown(household: Household) -> None:
    household.add(KEY)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await until(pilot, lambda: len(shown(app)) == 1, "the list")
        await pilot.press("t", *"Door, anna", "enter")
        await until(pilot, lambda: household.fact("f1").tags == ("anna", "door"), "the tags")
        await until(pilot, lambda: str(app.query_one(FactsTable).get_row_at(0)[2]) == "anna, door", "the tags shown")
        await pilot.press("u")
        await until(pilot, lambda: household.fact("f1").tags == (), "taken back")

    drive(household, body)
