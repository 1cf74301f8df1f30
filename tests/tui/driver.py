"""Driving the app in tests: an app on a home, keys, and waiting for what should come."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from textual.pilot import Pilot

from homeedit.household import Household
from homeedit.progress import Progress
from homeedit.tui.app import HomeEditApp

Body = Callable[[Pilot[None], HomeEditApp], Awaitable[None]]
_PATIENCE_SECONDS = 20.0


def call_here(household: Household, method: str, *arguments: Any, progress: Progress, **options: Any) -> Any:
    """Long work in the calling thread, where a test's fakes are."""
    return getattr(household, method)(*arguments, progress=progress, **options)


def drive(
    household: Household,
    body: Body,
    *,
    size: tuple[int, int] = (120, 40),
    call_apart: Callable[..., Any] = call_here,
) -> HomeEditApp:
    """Run the app without a terminal while ``body`` presses its keys; the app, ended."""
    app = HomeEditApp(household, call_apart=call_apart)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            await body(pilot, app)

    asyncio.run(run())
    return app


async def settled(pilot: Pilot[None]) -> None:
    """Wait until no short work runs and every message is handled."""
    await pilot.pause()
    short = [worker for worker in pilot.app.workers if worker.group == "short"]
    if short:  # of none, all would be waited for, long work among them
        await pilot.app.workers.wait_for_complete(short)
    await pilot.pause()


async def until(pilot: Pilot[None], condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds, or fail saying which."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        await pilot.pause(0.02)


async def type_text(pilot: Pilot[None], text: str) -> None:
    """Paste a text into what has the focus, as a terminal does."""
    from textual import events

    assert pilot.app.focused is not None, "nothing has the focus"
    # To the app, which forwards it: a TextArea lets the event bubble, and would get it twice.
    pilot.app.post_message(events.Paste(text))
    await pilot.pause()
    await pilot.pause()
