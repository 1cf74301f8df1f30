"""The demo tells the whole story, with the model's own answers, and leaves nothing behind."""

import tempfile
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.household.conftest import World


@pytest.fixture
def folder(tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders go; the embedded model is the tiny one."""
    monkeypatch.setattr("homeedit.base.sources.embedded_file", lambda: tiny_gguf)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return temporary


def test_the_demo_tells_the_story_and_cleans_up(homeedit: CommandLine, world: World, folder: Path) -> None:
    told = homeedit("demo").out
    for expected in ("smollm2-135m", "f1  live", "Build 1 is active", "Build 2 is active", "verify", "total"):
        assert expected in told
    assert told.count("> Where is the spare key?") == 3
    assert told.count("> What is the capital of Germany?") == 2
    assert "f1  live" not in told.split("5. One fact")[1]
    assert list(folder.iterdir()) == []
    assert homeedit("fact", "list", "--json").json == []


def test_the_demos_home_can_be_kept(homeedit: CommandLine, world: World, folder: Path) -> None:
    told = homeedit("demo", "--keep").out
    (home,) = folder.iterdir()
    assert str(home) in told
    assert (home / "edits" / "ledger.db").is_file()
