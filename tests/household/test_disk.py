"""A full disk, wherever it is met: told in words, nothing lost, and the next compile works."""

import errno
import os
from pathlib import Path

import pytest

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.household.lock import holder, locked
from homeedit.household.workspace import disk_errors_in_words
from homeedit.progress import Progress
from homeedit.settings import Home
from tests.household.conftest import Heard, World
from tests.household.test_compile import SENTENCES, states, teach, temporary_files


def full_at(monkeypatch: pytest.MonkeyPatch, function: str, number: int) -> list[int]:
    """Let the n-th call of a function of ``os`` find the disk full; returns the count of calls."""
    real, calls = getattr(os, function), [0]

    def limited(*arguments: object, **named: object) -> object:
        calls[0] += 1
        if calls[0] == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments, **named)

    monkeypatch.setattr(os, function, limited)
    return calls


def writes_of_a_compile(household: Household, monkeypatch: pytest.MonkeyPatch, function: str) -> int:
    with monkeypatch.context() as counting:
        calls = full_at(counting, function, 0)
        household.compile()
    return calls[0]


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_disk_that_is_full_at_any_write_of_a_compile(
    home: Home, household: Household, world: World, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    household.edit("f1", sentence="The spare key is on the red hook.")
    writes = writes_of_a_compile(household, monkeypatch, function)
    assert writes >= 4
    for number in range(1, writes + 1):
        household.edit("f1", sentence=f"The spare key is in the drawer with the number {number}.")
        served = household.builds()[1]
        with monkeypatch.context() as full, pytest.raises(HomeEditError) as caught:
            full_at(full, function, number)
            household.compile()
        told = caught.value
        assert "disk is full" in told.message or "No space left" in told.message, number
        assert told.exit_code == 1 and told.hint
        builds, active = household.builds()
        assert active == served or builds[-1].number == active
        assert next(build for build in builds if build.number == active).problem == ""
        household.compile()
        assert states(household) == {"f1": "live"}, number
        assert temporary_files(home) == [], number


def test_errors_of_files_are_told_with_what_is_safe() -> None:
    with pytest.raises(HomeEditError, match="disk is full") as caught, disk_errors_in_words():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "lost" in caught.value.message and "space" in caught.value.hint
    with pytest.raises(HomeEditError, match="Permission denied"), disk_errors_in_words():
        raise PermissionError(errno.EACCES, "Permission denied", "/x")


def test_who_holds_the_lock_is_known_and_forgotten(home: Home, heard: Heard) -> None:
    with locked(home, "compile", heard):
        assert f"process {os.getpid()}" in holder(home) and "compile" in holder(home)
        with pytest.raises(HomeEditError, match="compile"), locked(home, "init", Progress(), wait=False):
            pass
    assert holder(home) == "another homeedit"
    with locked(home, "init", heard, wait=False):
        pass
    assert heard.lines == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeEditError, match="Not a directory|File exists"):
        Household(Home(tmp_path / "file" / "home")).init("nothing")
