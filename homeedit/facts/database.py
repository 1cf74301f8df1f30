"""Opening the ledger's SQLite file safely: a damaged, foreign or newer file is refused, never touched."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homeedit.errors import HomeEditError
from homeedit.facts.migrations import APPLICATION_ID, MIGRATIONS, migrate, schema_version

BUSY_SECONDS = 30.0
"""How long a write waits for another process's transaction."""
_MAGIC = b"SQLite format 3\x00"


def create_database(path: Path) -> None:
    """Make an empty ledger at ``path`` unless one is there; a half-made one is never seen under that name."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".ledger-{os.getpid()}-{threading.get_ident()}.partial"
    # One left by a killed process with the same number is of no use.
    temporary.unlink(missing_ok=True)
    try:
        with translated(path):
            connection = sqlite3.connect(temporary, isolation_level=None)
            try:
                migrate(connection)
            finally:
                connection.close()
        _publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, path: Path) -> None:
    """Give the file its name without ever replacing a ledger that another process made meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    except OSError:
        # A file system without hard links.
        if not path.exists():
            os.replace(temporary, path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def open_database(path: Path) -> sqlite3.Connection:
    """Connect to an existing ledger, check that it is one and whole, and bring it to the newest schema."""
    _check_header(path)
    with translated(path):
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            # A purged sentence is overwritten, not only unlinked.
            connection.execute("PRAGMA secure_delete = ON")
            _check_ours(path, connection)
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_header(path: Path) -> None:
    if not path.exists():
        raise HomeEditError(f"The ledger {path} is not there.", "Make the home first: homeedit init")
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise HomeEditError(f"The ledger {path} cannot be read: {error.strerror}.", "Check its permissions.") from error
    if not head.startswith(_MAGIC) or len(head) < 100:
        raise damaged(path, "it is empty" if not head else "it is not a SQLite database, or was cut off")


def _check_ours(path: Path, connection: sqlite3.Connection) -> None:
    version = schema_version(connection)
    if version > len(MIGRATIONS):
        raise HomeEditError(
            f"The ledger {path} was written by a newer homeedit (schema {version}; this one knows {len(MIGRATIONS)}).",
            "It was left as it is. Update homeedit.",
        )
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    if owner != APPLICATION_ID:
        raise HomeEditError(f"The file {path} is a database, but not a homeedit ledger.", "It was left as it is.")
    page_size, pages = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count"))
    if path.stat().st_size < page_size * pages:
        # Short on disk is normal while pages wait in the write-ahead log: only a full check can tell.
        problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise damaged(path, str(problem))


def damaged(path: Path, why: str) -> HomeEditError:
    """The error for a file that is no whole ledger."""
    return HomeEditError(
        f"The ledger {path} is damaged: {why}.",
        "It was left as it is, and the builds still answer. Put back a copy of it, or move it away and run"
        " homeedit init; the patches in edits/ hold their facts too.",
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ones a person can act on."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise HomeEditError(
                f"Another homeedit has been writing to {path} for more than {BUSY_SECONDS:.0f} s.",
                "Nothing was changed. Try again when it is done.",
            ) from error
        if "full" in text or "disk I/O" in text:
            raise HomeEditError(f"The disk would not take the change to {path}: {text}.",
                                "Nothing was changed. Free some space and try again.") from error  # fmt: skip
        if "readonly" in text or "unable to open" in text:
            raise HomeEditError(f"The ledger {path} cannot be written: {text}.",
                                "Nothing was changed. Check the permissions of the"
                                " folder.") from error  # fmt: skip
        raise damaged(path, text) from error
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from error
