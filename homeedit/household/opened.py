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
        self.device = device
        """Where to compile instead of where the settings say."""

    @property
    def settings(self) -> Settings:
        """The home's settings, read when first needed, with the device that was asked for."""
        if self._settings is None:
            self._settings = load_settings(self.home)
        return replace(self._settings, device=self.device or self._settings.device)

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
