"""The terminal app, opened in this terminal or shown in a browser on this machine."""

import os
import shlex
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from homeedit.cli.context import Common, chosen_home
from homeedit.cli.output import talk
from homeedit.errors import FAILED, HomeEditError
from homeedit.household import Household

HOST = "127.0.0.1"
"""Never another: whoever reaches the page can read and change what the household knows."""


def can_open() -> bool:
    """Whether there is a terminal for the app, or a browser's page that stands for one."""
    in_browser = "TEXTUAL_DRIVER" in os.environ
    return in_browser or (sys.stdin.isatty() and sys.stdout.isatty())


def open_app(context: typer.Context) -> None:
    """Open the app; it ends with its own exit code."""
    from homeedit.tui.app import HomeEditApp

    common = context.find_object(Common) or Common()
    app = HomeEditApp(Household(chosen_home(common), device=common.device))
    _leave_on_signals(lambda: app.exit(return_code=FAILED))
    app.run()
    raise typer.Exit(app.return_code or 0)


def _leave_on_signals(leave: Callable[[], None]) -> None:
    """Ended from outside, or with its terminal closed, the app puts the terminal back and stops its work.

    ``interrupt.install`` still ends the process if that takes too long.
    """

    import asyncio

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            asyncio.get_running_loop().call_soon_threadsafe(leave)
        except RuntimeError:
            # It was only being opened, or is closed already.
            sys.exit(FAILED)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handle)


def web(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="Where on this machine.", min=1024, max=65535)] = 8000,
) -> None:
    """Show the app in a browser, on this machine only.

    Needs the package textual-serve: pip install 'homeedit[web]'.
    """
    from importlib.util import find_spec

    if find_spec("textual_serve") is None:
        raise HomeEditError(
            "The app cannot be shown in a browser: the package textual-serve is not installed.",
            "Install it: pip install 'homeedit[web]'. Without it, `homeedit` opens the app in the terminal.",
        )
    from homeedit.cli.browser import serve

    talk(f"The app is at http://{HOST}:{port} until you press Ctrl-C. Every page that is opened is an app of its own.")
    serve(app_command(context), HOST, port)


def app_command(context: typer.Context) -> str:
    """The shell's command that opens the app on the same home."""
    common = context.find_object(Common) or Common()
    parts = [sys.executable, "-m", "homeedit", "--home", str(chosen_home(common).root)]
    return shlex.join([*parts, "--device", common.device] if common.device else parts)
