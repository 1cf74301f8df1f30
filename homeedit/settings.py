"""Where a home is, and the few settings it has.

A home is a folder with ``homeedit.toml``, ``models/`` and ``edits/``. Every setting is described where it
is declared; the description is also the comment that is written into the file.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from homeedit.errors import HomeEditError

METHODS = ("joint", "alphaedit")
DEVICES = ("auto", "cuda", "mps", "cpu")


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of a household's folder. Nothing is created by naming it."""

    root: Path

    @property
    def settings_file(self) -> Path:
        """The settings, TOML."""
        return self.root / "homeedit.toml"

    @property
    def models(self) -> Path:
        """Base models and their builds."""
        return self.root / "models"

    @property
    def edits(self) -> Path:
        """The ledger and the patches."""
        return self.root / "edits"

    @property
    def ledger(self) -> Path:
        """The SQLite file of facts, builds and results."""
        return self.edits / "ledger.db"

    @property
    def lock_file(self) -> Path:
        """Held by the one command that changes models, patches or builds."""
        return self.root / ".homeedit.lock"

    @property
    def log_file(self) -> Path:
        """Where tracebacks of unexpected errors go."""
        return self.root / "homeedit.log"

    @property
    def exists(self) -> bool:
        """Whether the folder is a home."""
        return self.settings_file.is_file() or (self.models.is_dir() and self.edits.is_dir())


def find_home(explicit: Path | None, environ: Mapping[str, str]) -> Home:
    """The home to use: ``--home``, else HOMEEDIT_HOME, else the current folder if it is a home, else the
    platform's folder for user data."""
    if explicit is not None:
        return Home(explicit.expanduser().absolute())
    if environ.get("HOMEEDIT_HOME"):
        return Home(Path(environ["HOMEEDIT_HOME"]).expanduser().absolute())
    here = Home(Path.cwd())
    if here.exists:
        return here
    import platformdirs

    return Home(Path(platformdirs.user_data_dir("homeedit", appauthor=False)))


def _described(default: Any, text: str, allowed: str) -> Any:
    return field(default=default, metadata={"text": text, "allowed": allowed})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a household can set in ``homeedit.toml``."""

    model: str = _described("smollm2-135m", "The base model that is taught: its name in models/.", "a name")
    method: str = _described(
        "joint",
        "How sentences become weights; joint recalls better, alphaedit is faster.",
        "joint, alphaedit",
    )
    seed: int = _described(0, "Seed of every random choice; the same seed gives the same build.", "0 or more")
    threads: int = _described(0, "Processor cores to use; 0 means all that are usable.", "0 to 1024")
    device: str = _described("auto", "Where to compile; auto takes the best there is.", "auto, cuda, mps or cpu")
    keep_builds: int = _described(5, "How many builds are kept; older ones are deleted.", "1 to 1000")
    context: int = _described(2048, "Tokens that question and answer may have together.", "256 to 1048576")

    def usable_threads(self) -> int:
        """``threads``, or the number of cores this process may run on."""
        if self.threads:
            return self.threads
        if hasattr(os, "sched_getaffinity"):
            return max(1, len(os.sched_getaffinity(0)))
        return os.cpu_count() or 1


_RANGES = {"seed": (0, 2**31 - 1), "threads": (0, 1024), "keep_builds": (1, 1000), "context": (256, 2**20)}
_CHOICES = {"method": METHODS, "device": DEVICES}


def _allowed(name: str, value: object) -> bool:
    """Whether ``value`` is of the right type and within what the setting ``name`` allows."""
    if name in _RANGES:
        low, high = _RANGES[name]
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    if not isinstance(value, str):
        return False
    if name in _CHOICES:
        return value in _CHOICES[name]
    # A model name becomes a folder's name.
    return 0 < len(value) <= 100 and value[0].isalnum() and all(c.isalnum() or c in "-_." for c in value)


def _line_of(text: str, key: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if line.split("=")[0].strip().strip("\"'") == key:
            return number
    return 1


def load_settings(home: Home) -> Settings:
    """The settings of ``home``; defaults when it has no settings file.

    Raises:
        HomeEditError: the file cannot be read, is not TOML, or a key or value is not allowed; the message
            names the line, the key and what is allowed.
    """
    path = home.settings_file
    try:
        text = path.read_bytes().decode("utf-8-sig")
        values = tomllib.loads(text)
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise HomeEditError(f"The settings file {path} cannot be read: {error}.", _HINT) from error
    except tomllib.TOMLDecodeError as error:
        raise HomeEditError(f"The settings file {path} is not valid TOML: {error}.", _HINT) from error
    known = {each.name: each for each in fields(Settings)}
    for key, value in values.items():
        where = f"{path}, line {_line_of(text, key)}"
        if key not in known:
            raise HomeEditError(f"{where}: there is no setting {key!r}.", f"Allowed: {', '.join(known)}.")
        if not _allowed(key, value):
            raise HomeEditError(
                f"{where}: {key} = {value!r} is not allowed.", f"Allowed: {known[key].metadata['allowed']}."
            )
    return Settings(**values)


_HINT = "Correct the file, or delete it: every setting has a default. Facts and builds are not affected."


def write_settings(home: Home, settings: Settings) -> None:
    """Write all settings with a comment on each, atomically.

    Raises:
        HomeEditError: a value is not allowed.
        OSError: the folder cannot be written.
    """
    lines = ["# Settings of this home. A line may be left out; the value shown is then the default."]
    for each in fields(Settings):
        value, allowed = getattr(settings, each.name), each.metadata["allowed"]
        if not _allowed(each.name, value):
            raise HomeEditError(f"The setting {each.name} = {value!r} is not allowed.", f"Allowed: {allowed}.")
        shown = str(value) if isinstance(value, int) else f'"{value}"'
        lines += ["", f"# {each.metadata['text']} Allowed: {allowed}.", f"{each.name} = {shown}"]
    home.root.mkdir(parents=True, exist_ok=True)
    temporary = home.settings_file.with_name(f".homeedit.toml.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, home.settings_file)
    finally:
        temporary.unlink(missing_ok=True)
