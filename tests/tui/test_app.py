"""The app as a whole: what it loads, its keys and palette, and what it survives."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Button, Footer, Static, TextArea
from textual.widgets._footer import FooterKey

from homeedit.errors import Cancelled, HomeEditError
from homeedit.household import Household
from homeedit.progress import Progress
from homeedit.settings import Home
from homeedit.tui.actions import ACTIONS, EVERYWHERE, MOST_IN_FOOTER, PANES, actions_of
from homeedit.tui.app import HomeEditApp, make_pane
from homeedit.tui.dialogs.confirm import Confirm
from homeedit.tui.dialogs.help import HelpDialog
from homeedit.tui.dialogs.log import LogDialog
from tests.household.conftest import World
from tests.household.test_compile import SENTENCES
from tests.tui.doctored import call_doctored
from tests.tui.driver import Body, drive, settled, until

ROOT = Path(__file__).parents[2]
NASTY = "[red]The [link=x]key[/] is [/] under the 🪴 花瓶 [b."


def open_app(household: Household, body: Body, **options: Any) -> HomeEditApp:
    return drive(household, body, **({"call_apart": call_doctored} | options))


def teach(household: Household, *sentences: str) -> None:
    for sentence in sentences:
        household.add(sentence, on_conflict="keep")


def screen_text(app: HomeEditApp) -> str:
    """Everything that is on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips)


async def show_every_pane(pilot: Pilot[None], app: HomeEditApp) -> dict[str, str]:
    """Go through all panes by key; what each one shows."""
    seen = {}
    for number, name in enumerate(PANES, start=1):
        await pilot.press("escape", str(number))
        await until(pilot, lambda name=name: app.panes.current == name, f"{name} is shown")
        await settled(pilot)
        seen[name] = screen_text(app)
    return seen


# What is loaded

FIRST_FRAME = """
import asyncio, sys
from pathlib import Path
from homeedit.household import Household
from homeedit.settings import Home
from homeedit.tui.app import HomeEditApp

async def main():
    app = HomeEditApp(Household(Home(Path(sys.argv[1]))))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()
    heavy = ("torch", "transformers", "llama_cpp")
    print(*(name for name in heavy if name in sys.modules), "end")

asyncio.run(main())
"""


def test_the_first_frame_loads_nothing_heavy(home: Home, household: Household, world: World) -> None:
    teach(household, *SENTENCES[:2])
    household.compile()
    done = subprocess.run(
        [sys.executable, "-c", FIRST_FRAME, str(home.root)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.split(), done.returncode) == (["end"], 0), done.stderr


# The registry of actions


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)
def test_every_action_has_its_method(action: Any) -> None:
    owner = HomeEditApp if action.where == EVERYWHERE else type(make_pane(action.where))
    method = getattr(owner, f"action_{action.call.partition('(')[0]}", None)
    assert callable(method), f"{owner.__name__} lacks action_{action.call}"


@pytest.mark.parametrize("pane", PANES)
def test_no_key_does_two_things_in_a_pane(pane: str) -> None:
    keys = [key for where in (pane, EVERYWHERE) for action in actions_of(where) for key in action.key.split(",")]
    assert len(keys) == len(set(keys))
    assert not {"ctrl+a", "ctrl+b"} & set(keys)


def test_ids_are_unique_and_name_their_place() -> None:
    assert len({action.id for action in ACTIONS}) == len(ACTIONS)
    assert {action.where for action in ACTIONS} <= {EVERYWHERE, *PANES}


@pytest.mark.parametrize("pane", PANES)
def test_the_footer_shows_at_most_six_keys_and_help(household: Household, pane: str) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("escape", str(list(PANES).index(pane) + 1))
        await until(pilot, lambda: app.panes.current == pane, f"{pane} is shown")
        await settled(pilot)
        shown = [key.description for key in app.screen.query_one(Footer).query(FooterKey)]
        assert 0 < len(shown) <= MOST_IN_FOOTER
        assert "Help" in shown and len(set(shown)) == len(shown)

    open_app(household, body)


def test_the_palette_lists_every_action(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        titles = [command.title for command in app.get_system_commands(app.screen)]
        expected = {
            action.title if action.where == EVERYWHERE else f"{PANES[action.where]}: {action.title}"
            for action in ACTIONS
            if action.id != "app.command_palette"
        }
        assert set(titles) == expected and len(titles) == len(expected)

    open_app(household, body)


def test_an_action_of_a_pane_that_was_never_shown_runs_from_the_palette(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    household.compile()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette), "the palette opens")
        await pilot.press(*"serve the base")
        await pilot.pause(0.5)
        await pilot.press("down", "enter")
        await until(pilot, lambda: household.builds()[1] is None, "the base is served")
        assert app.panes.current == "builds"

    open_app(household, body)
    assert household.builds()[1] is None


def test_the_mouse_opens_the_palette_and_tabs(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.click("#tab-serve")
        await until(pilot, lambda: app.panes.current == "serve", "a click shows the pane")
        await pilot.click("#all-actions")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette), "a click opens the palette")

    open_app(household, body)


def test_keys_are_changed_in_the_settings_file(home: Home, household: Household) -> None:
    household.change_setting("keys.app.log", "f9")
    household.change_setting("keys.builds.prune", "z")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, LogDialog), "the new key opens the log")
        await pilot.press("escape", "f8")
        await pilot.pause()
        assert not isinstance(app.screen, LogDialog)
        await pilot.press("4")
        await until(pilot, lambda: app.panes.current == "builds", "builds are shown")
        await settled(pilot)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog), "help opens")
        await pilot.pause()
        lines = screen_text(app).splitlines()
        assert any("builds.prune" in line and " z " in line for line in lines)

    open_app(Household(home), body, size=(120, 60))


def test_help_names_the_keys_of_the_pane_that_is_shown_first(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("6")
        await until(pilot, lambda: app.panes.current == "model", "the model is shown")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpDialog), "help opens")
        headings = [str(each.content) for each in app.screen.query(".heading").results(Static)]
        assert headings[:2] == ["Model", "Everywhere"] and set(headings[2:]) == set(PANES.values()) - {"Model"}

    open_app(household, body)


# What the app survives


def test_words_of_people_are_never_markup(household: Household, world: World) -> None:
    teach(household, NASTY, "The [bold]very[/bold] long story is " + "[/] 漢字 🪴 " * 45 + ".")
    household.compile()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        seen = await show_every_pane(pilot, app)
        assert "[red]The [link=x]key[/]" in seen["facts"]
        assert "[red]The [link=x]key[/]" in seen["builds"]
        app.say(NASTY, "[/nothing]")
        await pilot.pause()
        assert app.is_running

    open_app(household, body)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_without_a_home_every_pane_opens_and_says_so(tmp_path: Path, size: tuple[int, int]) -> None:
    nowhere = Household(Home(tmp_path / "nothing here"))

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        for name, seen in (await show_every_pane(pilot, app)).items():
            assert "no home yet" in seen, name
        assert "homeedit init" in seen or "homeedit init" in "\n".join(app.journal)

    open_app(nowhere, body, size=size)
    assert not (tmp_path / "nothing here").exists()


def test_with_a_damaged_ledger_every_pane_opens_and_says_so(home: Home, household: Household) -> None:
    home.ledger.write_bytes(b"this is not a database, but it is long enough to be read as one" * 100)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        seen = await show_every_pane(pilot, app)
        said = "\n".join([*seen.values(), *app.journal])
        assert "ledger" in said and "damaged" in said

    open_app(household, body)


def test_without_its_model_every_pane_opens_and_says_so(home: Home, household: Household) -> None:
    teach(household, SENTENCES[0])
    shutil.rmtree(home.models / "tiny")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        seen = await show_every_pane(pilot, app)
        assert SENTENCES[0] in seen["facts"]
        for name in ("builds", "serve", "model"):
            assert "There is no base model 'tiny'" in " ".join(seen[name].split()), name

    open_app(household, body)


def test_a_damaged_settings_file_is_named(home: Home) -> None:
    home.settings_file.write_text("model = 3\n")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        seen = await show_every_pane(pilot, app)
        assert "homeedit.toml" in seen["model"] and "is not allowed" in seen["model"]

    open_app(Household(home), body)


def test_no_color_takes_the_colours_and_nothing_else(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        assert app.no_color
        seen = await show_every_pane(pilot, app)
        assert "✗ not ok" in seen["model"] and "✓ ok" in seen["model"]
        styles = [segment.style for strip in app.screen._compositor.render_strips() for segment in strip]
        colours = {part.triplet for style in styles if style for part in (style.color, style.bgcolor) if part}
        assert all(colour is None or len(set(colour)) == 1 for colour in colours), "only greys"

    open_app(household, body)


class Stuck:
    """Work that runs until it is stopped, or fails as it was told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = threading.Event()
        self.error = error

    def __call__(self, household: Household, method: str, *arguments: Any, progress: Progress, **options: Any) -> Any:
        if method == "doctor":
            return call_doctored(household, method, progress=progress)
        progress.stage("training", 100)
        self.begun.set()
        if self.error is not None:
            raise self.error
        while True:
            progress.advance()
            threading.Event().wait(0.01)


def test_work_is_stopped_by_a_key_and_panes_hear_of_it(household: Household) -> None:
    stuck = Stuck()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        assert app.start_work("Compile", "compile")
        await until(pilot, stuck.begun.is_set, "the work begins")
        assert not app.start_work("Revert", "revert", ["p1"]), "one at a time"
        await until(pilot, lambda: "training" in screen_text(app), "the line shows the stage")
        await pilot.press("f9")
        await until(pilot, lambda: app.work is not None and not app.work.running, "the work ends")
        assert app.work is not None and isinstance(app.work.error, Cancelled)
        assert any("was stopped" in line for line in app.journal)
        await until(pilot, lambda: "training" not in screen_text(app), "the line goes away")

    open_app(household, body, call_apart=stuck)


def test_work_in_another_process_begins_although_the_app_holds_the_terminal(household: Household) -> None:
    from homeedit.household.apart import call_apart

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        # Textual takes stdout and stderr for itself, which multiprocessing's helper did not stand.
        assert app.start_work("Prune", "prune", 5)
        await until(pilot, lambda: app.work is not None and not app.work.running, "the work ends")
        assert app.work is not None and app.work.error is None and app.work.result == []

    open_app(household, body, call_apart=call_apart)


def test_leaving_asks_while_work_runs_and_stops_it(household: Household) -> None:
    stuck = Stuck()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        app.start_work("Compile", "compile")
        await until(pilot, stuck.begun.is_set, "the work begins")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "it asks")
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Confirm), "it stays")
        assert app.is_running and app.work is not None and app.work.running
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "it asks again")
        await pilot.click("#yes")
        await until(pilot, lambda: not app.is_running, "it leaves")

    app = open_app(household, body, call_apart=stuck)
    assert app.work is not None and isinstance(app.work.error, Cancelled)


def test_leaving_asks_nothing_when_nothing_runs(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running, "it leaves")

    open_app(household, body)


def test_a_mistake_in_work_is_logged_and_the_app_lives(home: Home, household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        app.start_work("Compile", "compile")
        await until(pilot, lambda: app.work is not None and not app.work.running, "the work ends")
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, LogDialog), "the log opens")
        assert "[nobody] expected this" in app.screen.query_one(TextArea).text

    open_app(household, body, call_apart=Stuck(KeyError("[nobody] expected this")))
    assert "KeyError" in home.log_file.read_text()


@pytest.mark.parametrize("where", ["work", "done"])
def test_a_mistake_in_short_work_is_logged_and_the_app_lives(home: Home, household: Household, where: str) -> None:
    def fail(*_: object) -> None:
        raise KeyError("[nobody] expected this")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        app.perform(*((fail,) if where == "work" else (lambda: None, fail)))
        await until(pilot, lambda: any("unexpected" in line for line in app.journal), "it is said")
        assert app.is_running

    open_app(household, body)
    assert "[nobody] expected this" in home.log_file.read_text()


def test_what_a_closed_dialog_asked_for_is_no_mistake_and_errors_still_come_through(household: Household) -> None:
    told: list[str] = []

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        dialog = Confirm("Sure?", yes="Yes")
        await app.push_screen(dialog)
        go = threading.Event()

        def refuse() -> None:
            go.wait(5)
            raise HomeEditError("The disk is full.")

        app.perform(lambda: go.wait(5), lambda _: dialog.query_one("#not-there"), owner=dialog)
        app.perform(refuse, failed=lambda error: told.append("in the dialog"), owner=dialog)
        await pilot.press("escape")
        go.set()
        await until(pilot, lambda: any("disk is full" in line for line in app.journal), "the error")
        await settled(pilot)
        assert not told and not any("unexpected" in line for line in app.journal)

    drive(household, body)


def test_a_mistake_of_ours_frees_what_waits_for_it_even_without_a_log(home: Home, household: Household) -> None:
    freed: list[str] = []
    home.log_file.mkdir()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        app.perform(lambda: 1 / 0, failed=lambda error: freed.append(error.message))
        await until(pilot, lambda: freed, "the callback")
        assert "ZeroDivisionError" in freed[0]

    drive(household, body)


def test_no_escape_sequence_reaches_the_terminal_from_the_log(home: Home, household: Household) -> None:
    home.log_file.write_text("\x1b[31mred\x1b]0;title\x07\n", encoding="utf-8")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        app.say("A \x1b[31mfile\x07 failed.")
        await pilot.press("f8")
        await settled(pilot)
        shown = app.screen.query_one(TextArea).text
        assert "red" in shown and "file" in shown and not any(each in shown for each in "\x1b\x07")

    drive(household, body)
