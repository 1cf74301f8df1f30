"""The home's log file, for what a person cannot act on."""

import traceback
from pathlib import Path

from homeedit.settings import Home


def write_traceback(home: Home, error: BaseException) -> Path | None:
    """Append an error's traceback to the log; its path, or None when it cannot be written."""
    if not home.exists:
        return None
    try:
        with home.log_file.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write("".join(traceback.format_exception(error)) + "\n")
    except OSError:
        return None
    return home.log_file


def tail(home: Home, lines: int = 200) -> list[str]:
    """The last lines of the log; none when there is no log."""
    try:
        with home.log_file.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 100_000))
            return file.read().decode("utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        return []
