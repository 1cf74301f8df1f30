"""What was typed or done is not lost when something is slow, refused, or fails."""

import threading
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.tui.app import HomeEditApp
from homeedit.tui.dialogs.edit_fact import EditFact
from homeedit.tui.drafts import keep
from tests.tui.driver import drive, settled, until

KEY = "The spare key is under the blue flower pot."
HOSE = "The hose is behind the shed."


def test_what_is_typed_while_a_save_runs_stays_in_the_form(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    household.add(KEY)
    edit, gate = household.edit, threading.Event()

    def slow(*arguments: Any, **options: Any) -> Any:
        assert gate.wait(20)
        return edit(*arguments, **options)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await settled(pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, EditFact), "the form")
        await settled(pilot)
        sentence = app.screen.query_one("#sentence", Input)
        sentence.value = "The spare key is in the red box."
        await pilot.pause()
        await pilot.press("enter", "enter")
        sentence.value = "The spare key is in the green box."
        await pilot.pause()
        gate.set()
        await until(pilot, lambda: household.fact("f1").revision == 2, "it is stored")
        await settled(pilot)
        assert isinstance(app.screen, EditFact) and "green" in app.drafts.kept()["edit f1"]
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, EditFact), "the form closes")
        await settled(pilot)
        assert household.fact("f1").sentence.endswith("green box.") and household.fact("f1").revision == 3

    monkeypatch.setattr(household, "edit", slow)
    drive(household, body)
    assert household.typed() == {}


def test_a_failed_undo_can_be_tried_again(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    household.add(KEY)
    busy = [True, False, True, True]
    put_back = household.put_back

    def sometimes(*arguments: Any) -> Any:
        if busy.pop(0):
            raise HomeEditError("The list is busy.")
        return put_back(*arguments)

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await settled(pilot)
        household.disable(["f1"])
        app.undo_stack.push("switched f1", before=[fact])
        for left in (1, 0):
            await pilot.press("u")
            await settled(pilot)
            assert len(app.undo_stack) == left
        assert household.fact("f1").enabled
        app.undo_stack.push("switched f1", before=[fact])
        for left in (1, 0):  # what never works is not in the way of the changes before it
            await pilot.press("u")
            await settled(pilot)
            assert len(app.undo_stack) == left

    fact = household.fact("f1")
    monkeypatch.setattr(household, "put_back", sometimes)
    drive(household, body)


def test_a_text_that_could_not_be_written_is_kept_for_the_next_try(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(*_: Any) -> None:
        raise HomeEditError("Another homeedit holds it.")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(household, "keep_typed", held)
            keep(app, "ask", "Where")
            await settled(pilot)
        assert household.typed() == {} and app.drafts.kept() == {"ask": "Where"}

    drive(household, body)
    assert household.typed() == {"ask": "Where"}, "the end of the app writes it"
