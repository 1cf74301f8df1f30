"""One command at a time may change models, patches and builds; readers never wait.

The lock is the operating system's (it ends with its process, however that ends); a file beside it says who
holds it, for people only.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homeedit.errors import HomeEditError
from homeedit.progress import Progress
from homeedit.settings import Home

POLL_SECONDS = 0.2


def _owner_file(home: Home) -> Path:
    return home.lock_file.with_name(home.lock_file.name + ".owner")


def holder(home: Home) -> str:
    """Who holds the lock, in words, as far as is known."""
    try:
        owner = json.loads(_owner_file(home).read_text(encoding="utf-8"))
        return f"homeedit {owner['command']} (process {owner['pid']}, since {owner['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another homeedit"


def _write_owner(home: Home, command: str) -> None:
    path = _owner_file(home)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    owner = {"pid": os.getpid(), "command": command, "since": time.strftime("%H:%M:%S")}
    temporary.write_text(json.dumps(owner), encoding="utf-8")
    os.replace(temporary, path)


@contextmanager
def locked(home: Home, command: str, progress: Progress, *, wait: bool = True) -> Iterator[None]:
    """Hold the home's lock. ``command`` is what others are told.

    Raises:
        HomeEditError: another process holds it and ``wait`` is false; or the folder cannot be written.
        Cancelled: stopped while waiting.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(home.lock_file, thread_local=False)
    waiting = False
    while not lock.is_locked:
        try:
            progress.check()
            lock.acquire(timeout=POLL_SECONDS if waiting else 0)
        except Timeout:
            if not wait:
                raise HomeEditError(
                    f"{holder(home)} is at work in {home.root}.",
                    "Nothing was changed. Run the command again when it has finished, or without --no-wait.",
                ) from None
            if not waiting:
                progress.say(f"Waiting: {holder(home)} is at work in {home.root}.")
            waiting = True
        except OSError as error:
            raise HomeEditError(
                f"The home {home.root} cannot be locked: {error}.", "Check that the folder can be written."
            ) from error
    try:
        _write_owner(home, command)
        yield
    finally:
        _owner_file(home).unlink(missing_ok=True)
        lock.release()
