"""Serve: what is served now, and what can be copied."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from homeedit.household import Household
from homeedit.tui.app import HomeEditApp
from homeedit.tui.panes.serve import server_command
from homeedit.tui.widgets.copyable import Copyable
from tests.household.conftest import World
from tests.household.test_compile import SENTENCES, teach
from tests.tui.doctored import call_doctored
from tests.tui.driver import Body, drive, settled, until


def on_serve(household: Household, flow: Body, *, size: tuple[int, int] = (80, 24)) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("5")
        await until(pilot, lambda: app.panes.current == "serve", "the pane is shown")
        await settled(pilot)
        await flow(pilot, app)

    drive(household, body, size=size, call_apart=call_doctored)


def shown(app: HomeEditApp, name: str) -> str:
    return app.screen.query_one(f"#{name}", Copyable).text


def test_the_base_model_then_a_build(household: Household, world: World) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        assert "base model tiny" in shown(app, "served")
        assert shown(app, "served-file") == str(household.models()[0].gguf)
        teach(household, SENTENCES[0])
        household.compile()
        app.changed()
        await settled(pilot)
        assert "Build 1" in shown(app, "served") and "1 fact" in shown(app, "served")
        assert shown(app, "served-file") == str(household.builds()[0][0].gguf)

    on_serve(household, flow)


def test_tab_and_arrows_choose_what_y_copies(household: Household) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        gguf = str(household.models()[0].gguf)
        await pilot.press("down", "y")
        assert app.clipboard == gguf
        await pilot.press("tab", "y")
        assert app.clipboard.startswith("llama-server -m ") and gguf in app.clipboard
        await pilot.press("down", "y")
        assert "Home Assistant" in app.clipboard and "--api-key" in app.clipboard
        assert app.focused is not None and app.focused.region.y < 24, "it is scrolled into view"

    on_serve(household, flow)


def test_a_served_build_that_is_gone_says_what_to_do(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    household.builds()[0][0].gguf.unlink()

    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        assert shown(app, "served").startswith("✗ Build 1") and "Builds" in shown(app, "served")
        await pilot.press("y")
        assert app.is_running

    on_serve(household, flow)


@pytest.mark.parametrize("name", ["a b.gguf", "it's.gguf", "$(x).gguf"])
def test_the_command_keeps_any_path_whole(name: str) -> None:
    import shlex

    assert shlex.split(server_command(str(Path("/home/o") / name)))[2] == f"/home/o/{name}"
