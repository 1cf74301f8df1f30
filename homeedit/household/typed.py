"""What stands typed in input fields and is not stored yet: kept, so that closing the app loses nothing."""

import json
import os
from pathlib import Path

from homeedit.errors import HomeEditError
from homeedit.settings import Home

LOCK_SECONDS = 5.0


def typed_file(home: Home) -> Path:
    """Where unsaved texts stand."""
    return home.edits / "typed.json"


def read_typed(home: Home) -> dict[str, str]:
    """The texts by the names of their fields; nothing when the file is missing or damaged."""
    try:
        found = json.loads(typed_file(home).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)}


def keep_typed(home: Home, name: str, text: str) -> None:
    """Keep what stands in field ``name``; an empty text forgets it. The others stay, whoever wrote them."""
    _keep(home, {name: text})


def forget_typed(home: Home, fact_id: str) -> None:
    """Forget what was typed about a fact that is purged: the fields of the terminal app that hold its words."""
    if typed_file(home).parent.is_dir():
        # What a killed writer left may hold them too.
        _keep(home, {f"edit {fact_id}": "", f"questions-{fact_id}": ""}, clean=True)


def _keep(home: Home, texts: dict[str, str], *, clean: bool = False) -> None:
    from filelock import FileLock, Timeout

    path = typed_file(home)
    path.parent.mkdir(exist_ok=True)
    try:
        # Two apps in one home: neither may write over what the other just kept.
        with FileLock(path.with_name(".typed.lock"), timeout=LOCK_SECONDS):
            if clean:
                _temporary(path).unlink(missing_ok=True)
            kept = read_typed(home)
            if any(kept.get(name, "") != text for name, text in texts.items()):
                _write(path, {field: value for field, value in (kept | texts).items() if value})
    except Timeout as error:
        raise HomeEditError(
            f"What is typed could not be kept: another homeedit holds {path}.", "It stays on the screen; try again."
        ) from error


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _write(path: Path, texts: dict[str, str]) -> None:
    # ASCII only, so that half of a character that was pasted cannot stop it.
    data = json.dumps(texts, indent=1).encode("ascii")
    # Under the lock there is one writer: what a killed one left is written over.
    temporary = _temporary(path)
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
