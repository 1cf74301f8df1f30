"""Patches and builds: looked at, served, compared, reverted, exported, imported, pruned."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input, Select, Static

from homeedit.household import Household
from homeedit.settings import Home
from homeedit.tui.app import HomeEditApp
from homeedit.tui.dialogs.compare import CompareDialog
from homeedit.tui.dialogs.confirm import Confirm
from homeedit.tui.dialogs.prune import PruneDialog
from homeedit.tui.history import RESTING, SERVED, read_history
from homeedit.tui.panes.builds import BuildsPane
from homeedit.tui.widgets.paths import PathSuggester
from homeedit.tui.widgets.rows import Rows
from tests.household.conftest import World
from tests.household.test_compile import SENTENCES
from tests.tui.doctored import call_doctored
from tests.tui.driver import drive, settled, until

Flow = Callable[[Pilot[None], HomeEditApp, BuildsPane], Awaitable[None]]


def on_builds(household: Household, flow: Flow, *, size: tuple[int, int] = (120, 40)) -> None:
    """Run a flow in the pane, once it shows what there is."""

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("4")
        await until(pilot, lambda: app.panes.current == "builds", "the pane is shown")
        await settled(pilot)
        await flow(pilot, app, app.screen.query_one(BuildsPane))

    drive(household, body, size=size, call_apart=call_doctored)


def table(pane: BuildsPane, name: str) -> list[list[str]]:
    """The cells of a table."""
    rows = pane.query_one(f"#{name}", Rows)
    return [[cell.plain for cell in rows.get_row_at(at)] for at in range(rows.row_count)]


def detail(pane: BuildsPane) -> str:
    return str(pane.query_one("#history-text", Static).content)


async def dialog(pilot: Pilot[None], app: HomeEditApp, kind: type) -> None:
    await until(pilot, lambda: isinstance(app.screen, kind), f"{kind.__name__} opens")
    await settled(pilot)


def said(app: HomeEditApp, text: str) -> bool:
    return any(text in line for line in app.journal)


def test_both_tables_and_the_details(taught: Household) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        patches, builds = table(pane, "patch-rows"), table(pane, "build-rows")
        assert [row[1] for row in patches] == [SENTENCES[2], SENTENCES[1], SENTENCES[0]]
        assert {row[0] for row in patches} == {SERVED}
        assert [row[:2] for row in builds] == [["3", "✓ served"], ["2", "–"], ["1", "–"]]
        assert [row[3:7] for row in builds][0] == ["3", "100 %", "20/20", "0.0100"]
        newest = taught.patches()[-1]
        assert newest.id in detail(pane) and all(parent in detail(pane) for parent in newest.parents)
        await pilot.press("tab")
        assert detail(pane).startswith("Build 3") and all(sentence in detail(pane) for sentence in SENTENCES[:3])
        await pilot.press("down", "down")
        await pilot.pause()
        assert detail(pane).startswith("Build 1") and SENTENCES[2] not in detail(pane)

    on_builds(taught, flow)


@pytest.mark.parametrize(("size", "beside"), [((80, 24), False), ((120, 40), False), ((200, 50), True)])
def test_side_by_side_only_where_there_is_room(taught: Household, size: tuple[int, int], beside: bool) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        patches, builds = (pane.query_one(f"#{name}", Rows).region for name in ("patch-rows", "build-rows"))
        assert (patches.y == builds.y) is beside
        assert pane.query_one("#history-detail").region.height >= 4
        for name in ("patch-rows", "build-rows"):
            assert pane.query_one(f"#{name}", Rows).max_scroll_x == 0, "no column is cut"

    on_builds(taught, flow, size=size)


def test_nothing_compiled_says_what_to_do(household: Household) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        assert "Nothing was compiled yet" in detail(pane)
        for key in ("enter", "m", "r", "x", "p", "0", "y"):
            await pilot.press(key)
            await settled(pilot)
            assert app.screen is app.screen_stack[0], key

    on_builds(household, flow)


def test_a_build_is_served_by_enter_and_only_from_its_table(taught: Household) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("enter")
        await settled(pilot)
        assert taught.builds()[1] == 3 and app.focused is pane.query_one("#build-rows")
        await pilot.press("down", "enter")
        await until(pilot, lambda: taught.builds()[1] == 2, "build 2 is served")
        await until(pilot, lambda: table(pane, "build-rows")[1][1] == "✓ served", "the table shows it")
        assert said(app, "Served now: build 2") and said(app, "It was build 3")
        assert pane.query_one("#build-rows", Rows).current == "2", "the cursor stays"
        await pilot.press("0")
        await until(pilot, lambda: taught.builds()[1] is None, "the base is served")
        assert said(app, "Served now: base model")

    on_builds(taught, flow)


def test_a_click_on_a_build_serves_nothing(taught: Household) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.click("#build-rows", offset=(4, 3))
        await settled(pilot)
        assert pane.build is not None and pane.build.number == 2 and detail(pane).startswith("Build 2")
        assert taught.builds()[1] == 3

    on_builds(taught, flow)


def test_compare_with_the_one_before_and_with_another(taught: Household) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("tab", "m")
        await dialog(pilot, app, CompareDialog)
        text = str(app.screen.query_one("#change", Static).content)
        assert "build 2 → build 3" in text and f"+ added  {SENTENCES[2]}" in text and SENTENCES[1] not in text
        app.screen.query_one(Select).value = 0
        await settled(pilot)
        text = str(app.screen.query_one("#change", Static).content)
        assert "base model → build 3" in text and "Recall  – → 100 %" in text
        assert all(f"+ added  {sentence}" in text for sentence in SENTENCES[:3])
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, CompareDialog), "it closes")

    on_builds(taught, flow)


def test_changed_answers_are_shown_with_their_marks(taught: Household, world: World) -> None:
    world.forgotten = {"f1"}
    taught.verify(3)

    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("tab", "m")
        await dialog(pilot, app, CompareDialog)
        text = str(app.screen.query_one("#change", Static).content)
        assert "before ✓" in text and "after  ✗" in text

    on_builds(taught, flow)


def test_revert_says_which_facts_go_and_cancel_has_the_focus(taught: Household) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("down", "r")
        await dialog(pilot, app, Confirm)
        words = "\n".join(str(each.content) for each in app.screen.query(Static).results(Static))
        assert SENTENCES[1] in words and SENTENCES[0] not in words and "1 fact goes off" in words
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        await pilot.press("enter")
        await settled(pilot)
        assert app.work is None and taught.fact("f2").enabled
        await pilot.press("r")
        await dialog(pilot, app, Confirm)
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.work is not None and not app.work.running, "the revert ends")
        await settled(pilot)
        assert [row[0] for row in table(pane, "patch-rows")] == [SERVED, RESTING, SERVED]
        assert not taught.fact("f2").enabled and taught.builds()[1] == 4
        await pilot.press("r")
        await settled(pilot)
        assert said(app, "Nothing of"), "a resting patch has nothing to revert"

    on_builds(taught, flow)


def test_prune_names_what_goes_before_it_goes(taught: Household) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("p")
        await dialog(pilot, app, PruneDialog)
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        going = app.screen.query_one("#going", Static)
        assert "Builds 1, 2 go" in str(going.content)
        app.screen.query_one(Input).value = "2"
        await pilot.pause()
        assert "Build 1 goes" in str(going.content)
        app.screen.query_one(Input).value = "3"
        await pilot.pause()
        assert "Nothing goes" in str(going.content) and app.screen.query_one("#delete", Button).disabled
        app.screen.query_one(Input).value = "2"
        await pilot.pause()
        await pilot.press("right", "enter")
        await until(pilot, lambda: len(taught.builds()[0]) == 2, "the oldest goes")
        await until(pilot, lambda: len(table(pane, "build-rows")) == 2, "the table shows it")
        assert said(app, "Deleted: 1 build (1)")

    on_builds(taught, flow)


def test_an_older_served_build_stays_when_others_go(taught: Household) -> None:
    taught.use(1)

    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("p")
        await dialog(pilot, app, PruneDialog)
        assert "Builds 2, 3 go" in str(app.screen.query_one("#going", Static).content)
        await pilot.press("right", "enter")
        await until(pilot, lambda: len(taught.builds()[0]) == 1, "the others go")

    on_builds(taught, flow)
    assert taught.builds()[0][0].number == 1


def test_another_process_that_holds_the_home_is_named(taught: Household) -> None:
    from homeedit.household.lock import locked
    from homeedit.progress import Progress

    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        with locked(taught.home, "compile", Progress(), wait=False):
            await pilot.press("tab", "down", "enter")
            await settled(pilot)
        assert taught.builds()[1] == 3 and said(app, "compile")

    on_builds(taught, flow)


def test_a_damaged_build_says_why_and_cannot_be_served(taught: Household) -> None:
    (taught.builds()[0][0].folder / "model.gguf").write_bytes(b"cut")

    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        assert table(pane, "build-rows")[2][1].startswith("✗ its model.gguf")
        await pilot.press("tab", "end", "enter")
        await settled(pilot)
        assert taught.builds()[1] == 3 and said(app, "damaged")

    on_builds(taught, flow)


def test_the_row_is_copied(taught: Household) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("y")
        assert SENTENCES[2] in app.clipboard and taught.patches()[-1].id in app.clipboard

    on_builds(taught, flow)


def test_the_history_says_what_cannot_be_read(home: Home, taught: Household) -> None:
    (home.models / "tiny" / "active").write_text("seven")
    history = read_history(taught)
    assert "active" in history.problems[0] and len(history.patches) == 3


def test_paths_complete_folders_and_patches_only(tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches" / "a.txt").write_text("")
    (tmp_path / "patches" / "key.safetensors").write_text("")
    complete = PathSuggester(".safetensors")._complete
    assert complete(f"{tmp_path}/pa") == f"{tmp_path}/patches/"
    assert complete(f"{tmp_path}/patches/") == f"{tmp_path}/patches/key.safetensors"
    assert complete(f"{tmp_path}/patches/a") is None
    assert complete(f"{tmp_path}/none/") is None
    assert complete("~no one at all/") is None


def test_one_odd_manifest_hides_no_other_build(taught: Household) -> None:
    manifest = taught.builds()[0][0].folder / "manifest.json"
    found = json.loads(manifest.read_text(encoding="utf-8"))
    del found["facts"][0]["sentence"]
    manifest.write_text(json.dumps(found), encoding="utf-8")
    assert taught.compare(None, 1).added == ("f1",)
    history = read_history(taught)
    assert len(history.builds) == 3 and not history.problems


def test_a_rebound_key_is_shown_in_hints(home: Home, household: Household) -> None:
    household.change_setting("keys.builds.import", "ctrl+t")

    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        assert f"Or press {app.key_of('builds.import')} to take" in detail(pane)
        assert app.key_of("builds.import") != "i"

    on_builds(household, flow)
