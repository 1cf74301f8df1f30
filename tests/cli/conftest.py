"""The command line called in this process, with what it wrote and how it ended."""

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from homeedit.cli import main
from homeedit.settings import Home
from tests.household.conftest import home, household, no_training, world

__all__ = ["home", "household", "no_training", "world"]


@dataclass(frozen=True)
class Ended:
    """Exit code, data and talk of one command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


class CommandLine:
    """Calls ``homeedit --home HOME ARGUMENTS…`` as a script would: stdin is no terminal."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, stdin: bytes = b"", code: int | None = 0) -> Ended:
        """Run a command; ``code`` is the exit code it must end with (None: any)."""
        self._monkeypatch.setattr(main, "install", lambda: None)
        self._monkeypatch.setattr(sys, "argv", ["homeedit", "--home", str(self.home.root), *arguments])
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main.run()
        wrote = self._capsys.readouterr()
        ended = Ended(int(leaving.value.code or 0), wrote.out, wrote.err)
        assert code is None or ended.code == code, ended
        return ended


@pytest.fixture
def homeedit(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(home, monkeypatch, capsys)
