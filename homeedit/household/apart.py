"""A Household's long work in a process of its own.

So that a face never waits for torch's import, gets its memory back, survives whatever a native library does,
and can stop at once: a process is ended, and the home is made to stand that (see ``compiling``).
"""

import multiprocessing
import os
import sys
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from homeedit.errors import Cancelled, HomeEditError
from homeedit.household.core import Household
from homeedit.processes import set_up_process
from homeedit.progress import Progress
from homeedit.settings import Home

GRACE_SECONDS = 1.0
"""How long cancelled work may take to stop by itself."""
_TICK_SECONDS = 0.05


def call_apart(household: Household, method: str, *arguments: Any, progress: Progress, **options: Any) -> Any:
    """Call ``household.method(*arguments, progress=progress, **options)`` in another process; its result.

    Stages, counts and talk reach ``progress`` in the thread that calls. Cancelling ``progress`` stops the work
    within about two seconds. Arguments and result must be plain data.

    Raises:
        HomeEditError: what the method raised, or that its process ended without a word.
        Cancelled: ``progress`` was cancelled.
    """
    _start_tracker()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(
        target=_work,
        args=(there, type(household), household.home, household.device, method, arguments, options),
        name=f"homeedit {method}",
        daemon=True,
    )
    process.start()
    there.close()
    try:
        return _follow(here, progress)
    except (EOFError, ConnectionError):
        process.join(GRACE_SECONDS)
        progress.check()  # what was asked to stop and ended did what it was asked
        raise HomeEditError(
            f"The work stopped without a word (exit code {process.exitcode}). What was served before is untouched, "
            "and nothing that was typed is lost.",
            f"Perhaps memory ran out. The log may say more: {household.home.log_file}",
        ) from None
    finally:
        here.close()
        process.join(0.2)
        if process.is_alive():
            process.kill()
            process.join()


def _start_tracker() -> None:
    """Start multiprocessing's own helper, once. It wants a stderr that is a file; a terminal app replaces it."""
    replaced, sys.stderr = sys.stderr, sys.__stderr__
    try:
        resource_tracker.ensure_running()
    finally:
        sys.stderr = replaced


def _follow(connection: Connection, progress: Progress) -> Any:
    """Relay what the other process says until it has a result."""
    asked_to_stop: float | None = None
    while True:
        if connection.poll(_TICK_SECONDS):
            kind, content = connection.recv()
            if kind == "result":
                return content
            if kind == "error":
                raise content
            if asked_to_stop is None:
                with suppress(Cancelled):  # noticed below
                    getattr(progress, kind)(*content)
        if asked_to_stop is None:
            try:
                progress.check()
            except Cancelled:
                asked_to_stop = time.monotonic()
                connection.send("cancel")
        elif time.monotonic() - asked_to_stop > GRACE_SECONDS:
            raise Cancelled()


class _Relay(Progress):
    """Sends every report through the pipe, at most ten counts a second."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._counted = 0
        self._sent = 0.0

    def on_stage(self, name: str, total: int | None) -> None:
        self._flush("")
        self._connection.send(("stage", (name, total)))

    def on_advance(self, count: int, note: str) -> None:
        self._counted += count
        if time.monotonic() - self._sent >= 0.1:
            self._flush(note)

    def on_say(self, line: str) -> None:
        self._connection.send(("say", (line,)))

    def on_finish(self) -> None:
        self._flush("")
        self._connection.send(("finish", ()))

    def _flush(self, note: str) -> None:
        if self._counted:
            self._connection.send(("advance", (self._counted, note)))
        self._counted, self._sent = 0, time.monotonic()


def _work(
    connection: Connection,
    kind: type[Household],
    home: Home,
    device: str | None,
    method: str,
    arguments: tuple[Any, ...],
    options: dict[str, Any],
) -> None:
    """What the other process does."""
    set_up_process()
    _leave_the_terminal(home.log_file if home.exists else None)
    progress = _Relay(connection)
    threading.Thread(target=_listen, args=(connection, progress), daemon=True).start()
    try:
        result = getattr(kind(home, device=device), method)(*arguments, progress=progress, **options)
        connection.send(("result", result))
    except HomeEditError as error:
        connection.send(("error", error))
    except Exception as error:
        traceback.print_exc()  # into the log
        connection.send(("error", _unexpected(error, home)))


def _listen(connection: Connection, progress: Progress) -> None:
    """Wait for the word to stop; a parent that is gone stops the work as well."""
    try:
        connection.recv()
        progress.cancel()
        connection.recv()
    except (EOFError, OSError):
        os._exit(1)


def _unexpected(error: Exception, home: Home) -> HomeEditError:
    return HomeEditError(
        f"Something unexpected went wrong: {type(error).__name__}: {str(error)[:300]}. Facts and the build served "
        "before are safe.",
        f"The details are in {home.log_file}.",
    )


def _leave_the_terminal(log: Path | None) -> None:
    """The terminal belongs to the face: native libraries and warnings write to the log instead."""
    sys.stdout.flush()
    target = os.open(log or os.devnull, os.O_WRONLY | os.O_APPEND | (os.O_CREAT if log else 0), 0o600)
    for stream in (1, 2):
        os.dup2(target, stream)
    os.close(target)
