"""The Compile pane: before, while and after a model is made; what a failed fact offers."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, RichLog, Static

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.household.lock import locked
from homeedit.progress import Progress
from homeedit.settings import Home
from homeedit.tui.app import HomeEditApp
from homeedit.tui.dialogs.confirm import Confirm
from homeedit.tui.dialogs.more_questions import new_questions
from homeedit.tui.panes.compile import CompilePane
from homeedit.tui.widgets.answers import Answers
from homeedit.tui.widgets.checklist import Checklist, checklist
from homeedit.tui.widgets.rows import Rows
from homeedit.tui.work import Work
from tests.household.conftest import World
from tests.tui.driver import call_here, drive, settled, until

KEY = "The spare key is under the blue flower pot."
PLUMBER = "Our plumber is called Marta Okoye."
NASTY = "[red]The [link=x]key[/] is in the [/b] shed."
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])


def words(app: HomeEditApp, selector: str) -> str:
    """The text of a Static of the pane."""
    return str(app.screen_stack[0].query_one(selector, Static).content)


def summary(app: HomeEditApp) -> str:
    return words(app, "#outcome") + "\n" + words(app, "#outlook")


def answers(app: HomeEditApp) -> str:
    return str(pane(app).query_one(Answers).query_one(Static).content)


def said(app: HomeEditApp) -> str:
    return "\n".join(line.text for line in pane(app).query_one("#talk", RichLog).lines)


def pane(app: HomeEditApp) -> CompilePane:
    found = app.pane("compile")
    assert isinstance(found, CompilePane)
    return found


def rows(app: HomeEditApp) -> list[list[str]]:
    table = pane(app).query_one(Rows)
    return [[str(cell) for cell in table.get_row_at(number)] for number in range(table.row_count)]


async def open_pane(pilot: Pilot[None], app: HomeEditApp) -> None:
    app.action_show("compile")
    await until(pilot, lambda: app.panes.current == "compile", "the pane is shown")
    await settled(pilot)


async def ended(pilot: Pilot[None], app: HomeEditApp) -> None:
    await until(pilot, lambda: app.work is not None and not app.work.running, "the work ends")
    await settled(pilot)


class Held:
    """Long work that reports what a test wants and goes on when it is let go."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.go = threading.Event()
        self.report: Callable[[Progress], None] = lambda progress: None
        self.result: Any = None

    def __call__(self, household: Household, method: str, *arguments: Any, progress: Progress, **options: Any) -> Any:
        self.calls.append((method, arguments, options))
        self.report(progress)
        while not self.go.wait(0.01):
            progress.check()
        return self.result


@SIZES
def test_a_compile_from_the_drafts_to_the_answers(household: Household, world: World, size: tuple[int, int]) -> None:
    household.add(KEY)
    household.add(PLUMBER)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        assert "learn 2 new or changed facts" in summary(app)
        assert "the base model" in summary(app)
        assert "(c)" in str(pane(app).query_one("#start", Button).label)
        await pilot.press("c")
        await ended(pilot, app)
        assert "✓ Build 1 is served now: 2 of 2 facts recalled." in summary(app)
        assert "Everything in the list is compiled." in summary(app)
        assert "20 of 20 still right" in summary(app) and "hardly (KL 0.010)" in summary(app)
        assert "Model file" in summary(app) and "1 patch" in summary(app)
        assert "targets" in summary(app) and "verify" in summary(app)
        assert [row[:3] for row in rows(app)] == [["f1", "✓ live", "1/1"], ["f2", "✓ live", "1/1"]]
        assert not pane(app).query_one("#start").display
        assert pane(app).query_one(Rows).has_focus
        assert pane(app).query_one(Rows).size.height >= 3 and pane(app).query_one(Answers).size.height >= 3
        assert KEY in answers(app) and "→ an answer" in answers(app)
        await pilot.press("down")
        assert PLUMBER in answers(app)

    drive(household, body, size=size)


def test_the_button_starts_it(household: Household, world: World) -> None:
    household.add(KEY)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await pilot.click("#start")
        await ended(pilot, app)
        assert "Build 1 is served now" in summary(app)

    drive(household, body)


@SIZES
def test_what_runs_is_shown_and_can_be_stopped(household: Household, size: tuple[int, int]) -> None:
    household.add(KEY)
    held = Held()

    def report(progress: Progress) -> None:
        progress.say("[b]Compiling[/b] 1 fact without a patch.")
        progress.stage("loading")
        progress.stage("learning", 40)
        progress.advance(10, "loss 0.42")
        time.sleep(0.11)

    held.report = report

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await pilot.press("c")
        steps = pane(app).query_one(Checklist)
        await until(pilot, lambda: "10/40" in str(steps.content), "the count is shown")
        shown = str(steps.content)
        assert "learning" in shown and "loss 0.42" in shown and "left" in shown
        assert [line[:10].strip() for line in shown.splitlines()[1:6]] == [
            "▶ targets",
            "○ link",
            "○ merge",
            "○ quantize",
            "○ verify",
        ]
        assert "f9 stops it. The base model is served all the while" in shown
        assert "[b]Compiling[/b] 1 fact" in said(app)
        assert pane(app).query_one("#talk").has_focus and not pane(app).query_one(Rows).is_on_screen
        household.add(PLUMBER)  # meanwhile
        await pilot.press("c")
        assert len(held.calls) == 1, "one at a time"
        began = time.monotonic()
        await pilot.press("f9")
        await ended(pilot, app)
        assert time.monotonic() - began < 2
        assert "■ Compile was stopped" in summary(app)
        assert "The base model is served as before, untouched." in summary(app)
        assert "Still to do: 2 changes of the list; c starts again." in summary(app)
        assert "learning" in said(app) and pane(app).query_one("#talk").display

    drive(household, body, size=size, call_apart=held)


def test_a_pane_opened_while_work_runs_shows_all_of_it(household: Household) -> None:
    household.add(KEY)
    held = Held()
    held.report = lambda progress: (progress.say("first"), progress.stage("link", 2))[0]  # type: ignore[func-returns-value]

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        app.start_work("Compile", "compile")
        await until(pilot, lambda: app.work is not None and app.work.stage == "link", "the work is at link")
        await open_pane(pilot, app)
        assert "first" in said(app)
        steps = str(pane(app).query_one(Checklist).content)
        assert "– targets   not needed" in steps and "▶ link" in steps
        app.action_cancel_work()
        await ended(pilot, app)

    drive(household, body, call_apart=held)


def test_a_failure_says_what_is_safe_and_what_comes_next(household: Household) -> None:
    household.add(KEY)

    def full(*arguments: Any, **options: Any) -> Any:
        raise HomeEditError("The disk [is] full.", "Free some space.")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await pilot.press("c")
        await ended(pilot, app)
        for part in (
            "✗ Compile failed",
            "The disk [is] full.",
            "Free some space.",
            "untouched",
            "Still to do: 1 change",
        ):
            assert part in summary(app)

    drive(household, body, call_apart=full)


def test_a_refused_build_says_why_and_can_be_served_all_the_same(household: Household, world: World) -> None:
    household.add(KEY)
    world.kl = 0.5

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await pilot.press("c")
        await ended(pilot, app)
        assert "✗ Build 1 was refused. The base model is served as before" in summary(app)
        assert "Other answers changed too much" in summary(app)
        assert "try 1 fact again that was refused" in summary(app)
        assert rows(app) == [["f1", "✓ recalled", "1/1", KEY]]
        assert "Other answers changed too much" in answers(app)
        await pilot.press("f")
        assert isinstance(app.screen, Confirm)
        assert app.focused is not None and app.focused.id == "cancel"
        await pilot.press("enter")
        assert app.work is not None and not app.work.running and household.builds()[1] is None
        await pilot.press("f")
        await pilot.click("#yes")
        await until(pilot, lambda: household.builds()[1] is not None, "the build is active")
        await ended(pilot, app)
        assert "served now" in summary(app) and "Overruled: Other answers" in summary(app)

    drive(household, body)


def test_a_home_that_someone_else_works_in_is_waited_for(home: Home, household: Household, world: World) -> None:
    household.add(KEY)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        with locked(home, "compile elsewhere", Progress()):
            await pilot.press("c")
            await until(
                pilot, lambda: "Waiting: homeedit compile elsewhere" in said(app).replace("\n", " "), "it says so"
            )
            await pilot.press("f9")
            await ended(pilot, app)
        assert "was stopped" in summary(app)
        assert household.builds() == ([], None)

    drive(household, body, call_apart=call_here)


def test_an_empty_home_and_none_at_all(household: Household, home: Home) -> None:
    async def empty(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        assert "There is no fact yet." in summary(app) and "1 goes to Facts" in summary(app)
        await pilot.press("o")
        assert not isinstance(app.screen, Confirm)
        await pilot.press("1")
        await until(pilot, lambda: app.panes.current == "facts", "Facts is shown")

    drive(household, empty)
    home.ledger.write_bytes(b"no ledger at all")

    async def damaged(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        assert "✗" in summary(app)
        await pilot.press("r", "e", "m", "f", "escape", "y")

    drive(household, damaged)


def test_sentences_are_never_read_as_markup(household: Household, world: World) -> None:
    long = "The instructions for the boiler are " + "very long and 漢字 and 🗝 " * 18 + "in the blue folder."
    household.add(NASTY, subject="key", prompt="[red]The [link=x]key[/] is in the", target="[/b] shed")
    household.add(long, subject="instructions for the boiler", target="in the blue folder", prompt=long[:-21])

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await pilot.press("c")
        await ended(pilot, app)
        assert rows(app)[0][3] == NASTY and NASTY in answers(app)
        await pilot.press("down")
        assert long in answers(app)

    drive(household, body, size=(80, 24))


def test_the_checklist_of_a_second_attempt_and_of_other_work() -> None:
    work = Work("Compile", "compile", Progress(), began=0.0)
    for stage, began in (("learning", 0.0), ("link", 10.0), ("merge and quantize", 11.0), ("verify", 14.0)):
        work.stage, work.stage_began = stage, began
        work.passed.append((stage, began))
    lines = str(checklist(work, 20.0)).splitlines()
    assert [line[0] for line in lines] == ["✓", "✓", "✓", "✓", "▶"]
    assert lines[0].endswith("10 s") and lines[2].endswith("3 s") and "for 6 s" in lines[4]
    work.stage, work.stage_began = "preparing", 20.0
    work.passed.append(("preparing", 20.0))
    assert [line[0] for line in str(checklist(work, 21.0)).splitlines()] == ["▶", "○", "○", "○", "○"]
    other = Work("Bring a model", "init", Progress(), began=0.0, stage="recording checksums", total=4, done=1)
    other.passed = [("reading the model", 0.0), ("recording checksums", 5.0)]
    assert str(checklist(other, 6.0)).splitlines()[0] == "✓ reading the model  5 s"
    assert "1/4" in str(checklist(other, 6.0)).splitlines()[1]


def test_new_questions_are_each_taken_once() -> None:
    assert new_questions(" a?  \n\nA?\nb  c?", ("B C?",)) == ("a?",)
