"""Patches and builds that go to files and come from them."""

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input, RadioSet, Static

from homeedit.household import Household
from homeedit.tui.app import HomeEditApp
from homeedit.tui.dialogs.confirm import Confirm
from homeedit.tui.dialogs.export import ExportDialog
from homeedit.tui.dialogs.import_patch import ImportPatchDialog
from homeedit.tui.history import WAITING
from homeedit.tui.panes.builds import BuildsPane
from tests.household import fakes
from tests.household.test_compile import SENTENCES, teach
from tests.tui.driver import settled, until
from tests.tui.test_builds import dialog, on_builds, said, table


def test_a_patch_is_exported_in_a_format_and_overwritten_only_if_asked(taught: Household, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    out.write_text("precious")

    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("x")
        await dialog(pilot, app, ExportDialog)
        path = app.screen.query_one(Input)
        assert path.value.startswith(str(Path.home())) and path.value.endswith(".safetensors")
        app.screen.query_one(RadioSet).focus()
        await pilot.press("down", "enter")
        await pilot.pause()
        assert path.value.endswith("-peft"), "the suggestion follows the format"
        await pilot.press("up", "enter")
        path.value = str(out)
        path.focus()
        await pilot.press("enter")
        await dialog(pilot, app, Confirm)
        await pilot.press("enter")
        await dialog(pilot, app, ExportDialog)
        assert out.read_text() == "precious"
        await pilot.press("enter")
        await dialog(pilot, app, Confirm)
        await pilot.press("right", "enter")
        await until(pilot, lambda: app.screen is app.screen_stack[0], "both dialogs close")

    on_builds(taught, flow)
    assert taught.inspect_patch(out).id == taught.patches()[-1].id


def test_a_build_is_exported_and_a_wrong_path_can_be_corrected(taught: Household, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "build.gguf"

    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("tab", "x")
        await dialog(pilot, app, ExportDialog)
        path = app.screen.query_one(Input)
        assert path.value.endswith("tiny-build-3.gguf") and not app.screen.query(RadioSet)
        path.value = str(tmp_path / "file" / "x.gguf")
        await pilot.press("enter")
        problem = app.screen.query_one("#export-problem", Static)
        await until(pilot, lambda: "✗" in str(problem.content), "the problem is said in the dialog")
        path.value = str(out)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.screen_stack[0], "it closes")

    on_builds(taught, flow)
    assert out.read_bytes() == taught.builds()[0][-1].gguf.read_bytes()


@pytest.fixture
def exported(taught: Household, tmp_path: Path) -> Path:
    out = tmp_path / "out" / "patch.safetensors"
    taught.export_patches(["f1"], out)
    return out


@pytest.fixture
def other(taught: Household, tmp_path: Path) -> Household:
    """A second home with the same base model, which it serves."""
    second = Household(fakes.make_home(tmp_path / "other", taught.models()[0]))
    second.use(None)
    return second


def test_a_patch_is_shown_before_it_is_taken_in(other: Household, exported: Path) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("i")
        await dialog(pilot, app, ImportPatchDialog)
        assert app.screen.query_one("#import", Button).disabled
        app.screen.query_one(Input).value = str(exported)
        await pilot.press("enter")
        looked = app.screen.query_one("#looked", Static)
        await until(pilot, lambda: SENTENCES[0] in str(looked.content), "the fact is shown")
        assert "✓ checked" in str(looked.content) and other.facts() == []
        assert isinstance(app.focused, Button) and app.focused.id == "cancel"
        assert not app.screen.query_one(RadioSet).display
        await pilot.click("#import")
        await until(pilot, lambda: app.work is not None and not app.work.running, "the import ends")
        await settled(pilot)
        assert [row[:2] for row in table(pane, "patch-rows")] == [[WAITING, SENTENCES[0]]]
        assert said(app, "The next compile")

    on_builds(other, flow)
    assert [fact.sentence for fact in other.facts()] == [SENTENCES[0]] and other.typed() == {}


def test_the_path_stays_kept_when_the_import_could_not_begin(
    other: Household, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        monkeypatch.setattr(app, "start_work", lambda *_, **__: False)
        await pilot.press("i")
        await dialog(pilot, app, ImportPatchDialog)
        app.screen.query_one(Input).value = str(exported)
        await pilot.press("enter")
        button = app.screen.query_one("#import", Button)
        await until(pilot, lambda: not button.disabled, "it was looked at")
        await pilot.click("#import")
        await settled(pilot)

    on_builds(other, flow)
    assert other.typed() == {"builds.import": str(exported)}


@pytest.mark.parametrize(("chosen", "facts"), [("replace", 1), ("keep", 2)])
def test_a_patch_that_contradicts_asks_what_to_do(other: Household, exported: Path, chosen: str, facts: int) -> None:
    teach(other, "The spare key is on the red hook.")

    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("i")
        await dialog(pilot, app, ImportPatchDialog)
        app.screen.query_one(Input).value = str(exported)
        await pilot.press("enter")
        choice = app.screen.query_one(RadioSet)
        await until(pilot, lambda: choice.display, "the choice is shown")
        assert "contradicts f1" in str(app.screen.query_one("#looked", Static).content)
        if chosen == "keep":
            choice.focus()
            await pilot.press("down", "enter")
        await pilot.click("#import")
        await until(pilot, lambda: app.work is not None and not app.work.running, "the import ends")

    on_builds(other, flow)
    assert len(other.facts()) == facts and other.facts()[-1].sentence == SENTENCES[0]


def test_a_damaged_patch_is_refused_and_its_path_kept(other: Household, exported: Path) -> None:
    exported.write_bytes(exported.read_bytes()[:-40])

    async def flow(pilot: Pilot[None], app: HomeEditApp, pane: BuildsPane) -> None:
        await pilot.press("i")
        await dialog(pilot, app, ImportPatchDialog)
        app.screen.query_one(Input).value = str(exported)
        await pilot.press("enter")
        await until(pilot, lambda: "✗" in str(app.screen.query_one("#looked", Static).content), "it is refused")
        assert app.screen.query_one("#import", Button).disabled
        await until(pilot, lambda: str(exported) in other.typed().values(), "what was typed is kept")
        await pilot.press("escape", "i")
        await dialog(pilot, app, ImportPatchDialog)
        assert app.screen.query_one(Input).value == str(exported)

    on_builds(other, flow)
    assert other.facts() == []
