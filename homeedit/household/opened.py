"""A home that is opened: what every part of Household stands on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from homeedit.errors import HomeEditError
from homeedit.household.workspace import Workspace, disk_errors_in_words
from homeedit.progress import Progress
from homeedit.settings import Home, Settings, load_settings

if TYPE_CHECKING:
    from homeedit.facts.ledger import Ledger


class OpenHome:
    """A home, its settings, its ledger and its lock."""

    def __init__(self, home: Home, settings: Settings | None = None, *, device: str | None = None) -> None:
        self.home = home
        self._settings = settings
        """What the caller gave, or ``init`` made; else the file is asked."""
        self._read: tuple[object, Settings] | None = None
        self.device = device
        """Where to compile instead of where the settings say."""

    @property
    def settings(self) -> Settings:
        """The home's settings as they are now, with the device that was asked for."""
        found = self._settings or self._from_file()
        return replace(found, device=self.device or found.device)

    def _from_file(self) -> Settings:
        """The settings file, read again when it changed: a face may live for days."""
        try:
            status = self.home.settings_file.stat()
            stamp: object = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            stamp = None
        if self._read is None or self._read[0] != stamp:
            self._read = (stamp, load_settings(self.home))
        return self._read[1]

    @property
    def workspace(self) -> Workspace:
        """Home and settings, for the parts of Household."""
        return Workspace(self.home, self.settings)

    @contextmanager
    def _opened(self) -> Iterator["Ledger"]:
        with disk_errors_in_words(), self.workspace.ledger() as ledger:
            yield ledger

    def _check_home(self) -> None:
        """Raise HomeEditError when the folder is no home."""
        if not self.home.exists:
            raise HomeEditError(
                f"{self.home.root} is not a home of homeedit.",
                "Make it with `homeedit init`, or name another with --home.",
            )

    @contextmanager
    def _locked(self, command: str, progress: Progress, wait: bool) -> Iterator[None]:
        from homeedit.household.lock import locked

        with disk_errors_in_words():
            self._check_home()
            with locked(self.home, command, progress, wait=wait):
                yield
