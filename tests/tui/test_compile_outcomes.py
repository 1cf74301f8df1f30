"""The Compile pane afterwards: failed facts, refused builds, purges, and what was recorded."""

from textual.pilot import Pilot
from textual.widgets import Button, Static, TextArea

from homeedit.household import Household
from homeedit.household.results import AskedQuestion, BuildResult, FactResult, Unrelated
from homeedit.tui.app import HomeEditApp
from homeedit.tui.dialogs.confirm import Confirm
from homeedit.tui.dialogs.edit_fact import EditFact
from homeedit.tui.dialogs.more_questions import MoreQuestions
from tests.household.conftest import World
from tests.tui.driver import drive, settled, type_text, until
from tests.tui.test_compile import KEY, NASTY, PLUMBER, Held, answers, ended, open_pane, pane, rows, summary


def test_a_failed_fact_comes_first_and_can_be_rephrased_or_asked_otherwise(household: Household, world: World) -> None:
    household.add(PLUMBER)
    household.add(KEY)
    world.forgotten = {"f2"}
    asked = household.fact("f2").questions

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await pilot.press("c")
        await ended(pilot, app)
        assert "! Build 1 is served now: 1 of 2 facts recalled." in summary(app)
        assert "1 fact taught but not recalled" in summary(app)
        assert [row[:3] for row in rows(app)] == [["f2", "✗ failed", "0/1"], ["f1", "✓ live", "1/1"]]
        assert "✗ " in answers(app) and "Rephrase it (e), add phrasings (m), or try harder (r)." in answers(app)
        await pilot.press("e")
        assert isinstance(app.screen, EditFact)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, EditFact), "the dialog is closed")
        await pilot.press("m")
        assert isinstance(app.screen, MoreQuestions)
        await settled(pilot)
        await type_text(pilot, f"Where did we hide [the] key?\n\n{asked[0].upper()}\n  Which pot   hides the key?")
        assert app.screen.questions == ("Where did we hide [the] key?", "Which pot hides the key?")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(household.fact("f2").questions) == len(asked) + 2, "the questions are stored")
        await settled(pilot)
        assert household.fact("f2").questions[: len(asked)] == asked
        assert household.typed() == {}
        assert "learn 1 new or changed fact" in summary(app)
        assert rows(app)[0][:2] == ["f2", "○ draft"] and "Changed since" in answers(app)

    drive(household, body)


def test_questions_that_were_not_stored_are_there_again(household: Household, world: World) -> None:
    household.add(KEY)
    household.compile()

    async def write(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await pilot.press("m")
        await settled(pilot)
        await type_text(pilot, "Where is the key?!")
        await pilot.press("escape")

    drive(household, write)

    async def read(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await pilot.press("m")
        await until(pilot, lambda: app.screen.query_one(TextArea).text == "Where is the key?!", "the text is back")

    drive(household, read)


def test_retry_and_consolidate_call_what_they_say(household: Household, world: World) -> None:
    household.add(KEY)
    household.add(PLUMBER)
    world.forgotten = {"f1"}
    household.compile()
    held = Held()
    held.go.set()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await pilot.press("r")
        await ended(pilot, app)
        assert held.calls == [("compile", (), {"retry": ["f1"]})]
        await pilot.press("o")
        assert isinstance(app.screen, Confirm)
        assert app.focused is not None and app.focused.id == "cancel"
        question = "\n".join(str(each.content) for each in app.screen.query(Static))
        assert "all 2 facts again" in question and "takes long" in question
        await pilot.press("escape")
        assert len(held.calls) == 1
        await pilot.press("o")
        await pilot.click("#yes")
        await until(pilot, lambda: len(held.calls) == 2, "it begins")
        await ended(pilot, app)
        assert held.calls[1] == ("compile", (), {"consolidate": True})

    drive(household, body, call_apart=held)


def test_retry_really_compiles_again(household: Household, world: World) -> None:
    household.add(KEY)
    world.forgotten = {"f1"}
    household.compile()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        world.forgotten = set()
        await pilot.press("r")
        await ended(pilot, app)
        assert "✓ Build 2 is served now: 1 of 1 fact recalled." in summary(app)
        assert rows(app)[0][:2] == ["f1", "✓ live"]

    drive(household, body)


def test_opened_later_it_shows_what_was_recorded(household: Household, world: World) -> None:
    household.add(KEY)
    household.add(PLUMBER)
    household.compile()
    household.disable(["f2"])

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        assert "Served: build 1, made 2" in summary(app) and "1 of 1 fact recalled" in summary(app)
        assert "leave out 1 switched off since" in summary(app)
        assert "KL 0.010" in summary(app) and "Model file" in summary(app)
        assert rows(app) == [["f1", "✓ live", "1/1", KEY]]
        assert "→ an answer" in answers(app)
        await pilot.press("y")
        assert KEY in app.clipboard and "an answer" in app.clipboard

    drive(household, body)


def test_the_result_of_a_purge_shows_the_proof(household: Household, world: World) -> None:
    household.add(KEY)
    household.compile()
    held = Held()
    held.go.set()
    gone = FactResult("f9", NASTY, "draft", 0.0, (AskedQuestion("Where?", "\x1b[31mNobody [knows].", False),))
    held.result = (
        household.fact("f1"),
        BuildResult(1, True, tuple(household.fact_results()), Unrelated(0.01, 20, 20), {"total": 3.0}, gone=(gone,)),
    )

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        app.start_work("Purge", "purge", "f9")
        await ended(pilot, app)
        assert "✓ f9 is purged. Asked 1 question, the model no longer says it." in summary(app)
        assert rows(app)[0][:2] == ["f9", "– removed"] and rows(app)[0][3] == NASTY
        assert NASTY in answers(app) and "Nobody [knows]." in answers(app)
        assert "\x1b" not in answers(app)
        await pilot.press("m")
        assert not isinstance(app.screen, MoreQuestions), "what is gone has no more questions"

    drive(household, body, call_apart=held)


def test_an_unusable_patch_is_told_and_the_build_can_be_asked_again(household: Household, world: World) -> None:
    household.add(KEY)
    household.compile()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        start = pane(app).query_one("#start", Button)
        assert "Everything in the list is compiled." in summary(app) and not start.display
        world.forgotten = {"f1"}
        await pilot.press("v")
        await ended(pilot, app)
        assert "Build 1 was asked again: 0 of 1 fact recalled" in summary(app)
        household.patches()[0].file.write_bytes(b"cut")
        app.changed()
        await settled(pilot)
        assert "learn 1 fact again whose patch cannot be used" in summary(app) and start.display

    drive(household, body)
