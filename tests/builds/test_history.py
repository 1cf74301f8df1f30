"""The history of builds: one rename makes a build, one rename activates it; damage is named."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from homeedit.base.store import BaseModel
from homeedit.builds import history
from homeedit.builds.build import make_build
from homeedit.errors import HomeEditError
from homeedit.progress import Progress
from tests.builds.helpers import CREATED, own_copy, random_patch


@pytest.fixture
def base(tiny_base: BaseModel, tmp_path: Path) -> BaseModel:
    return own_copy(tiny_base, tmp_path / "model")


def add_build(base: BaseModel, number: int, *, recall: float | None = None) -> history.Build:
    make_build(base, [], number=number, created=CREATED, threads=1, progress=Progress())
    return history.finish(base, number, {"recall": recall, "forced": recall == 0.0})


def numbers(base: BaseModel) -> list[int]:
    return [build.number for build in history.list_builds(base)]


def test_a_build_appears_only_when_finished(base: BaseModel, tmp_path: Path) -> None:
    assert history.next_number(base) == 1
    patch = random_patch(base, tmp_path / "edits")
    make_build(base, [patch], number=1, created=CREATED, threads=1, progress=Progress())
    assert history.list_builds(base) == []
    assert history.next_number(base) == 2
    build = history.finish(base, 1, {"recall": 1.0})
    assert history.list_builds(base) == [build]
    assert (build.patches, build.facts) == ((patch.id,), ("f1",))
    assert (build.recall, build.forced, build.problem) == (1.0, False, "")
    assert build.bytes == build.gguf.stat().st_size == base.gguf.stat().st_size
    assert history.active_build(base) is None


def test_numbers_only_grow(base: BaseModel) -> None:
    add_build(base, 1)
    assert history.next_number(base, after=7) == 8
    (base.folder / "active").write_text("12\n")
    assert history.next_number(base) == 13
    history.begin(base, 20)
    assert history.next_number(base) == 21


def test_use_switches_and_refuses_what_is_not_there(base: BaseModel) -> None:
    for number in (1, 2):
        add_build(base, number)
    history.activate(base, 1)
    assert history.active_build(base) == history.open_build(base, 1)
    history.activate(base, 2)
    assert history.active_number(base) == 2
    with pytest.raises(HomeEditError, match="no build 3"):
        history.activate(base, 3)
    assert history.active_number(base) == 2
    history.activate(base, None)
    assert history.active_build(base) is None
    history.activate(base, None)
    assert sorted(entry.name for entry in base.folder.iterdir() if "partial" in entry.name) == []


def test_what_to_do_for_a_build_that_is_gone(base: BaseModel) -> None:
    add_build(base, 1)
    history.activate(base, 1)
    shutil.rmtree(base.builds / "1")
    with pytest.raises(HomeEditError, match="no build 1") as gone:
        history.active_build(base)
    assert "homeedit compile" in gone.value.hint and "homeedit build use base" in gone.value.hint
    (add_build(base, 2).folder / history.DELTA).unlink()
    with pytest.raises(HomeEditError, match="no build 1") as gone:
        history.active_build(base)
    assert "homeedit build list" in gone.value.hint
    with pytest.raises(HomeEditError, match="damaged") as damaged:
        history.open_build(base, 2)
    assert "homeedit build use base" in damaged.value.hint
    add_build(base, 3)
    with pytest.raises(HomeEditError, match="damaged") as damaged:
        history.open_build(base, 2)
    assert "homeedit build use N" in damaged.value.hint


def test_prune_keeps_the_newest_and_the_active(base: BaseModel) -> None:
    for number in range(1, 6):
        add_build(base, number)
    history.activate(base, 1)
    assert history.prune(base, 2) == [2, 3, 4]
    assert numbers(base) == [1, 5]
    assert history.prune(base, 0) == [5]
    assert numbers(base) == [1]
    assert history.prune(base, 9) == []
    history.activate(base, None)
    assert history.prune(base, 1) == []
    assert history.prune(base, 0) == [1]
    with pytest.raises(HomeEditError, match="negative"):
        history.prune(base, -1)


def test_the_active_build_is_not_deleted(base: BaseModel) -> None:
    add_build(base, 1)
    history.activate(base, 1)
    with pytest.raises(HomeEditError, match="active"):
        history.remove_build(base, 1)
    assert numbers(base) == [1]


def test_partials_are_cleared_and_nothing_else(base: BaseModel) -> None:
    add_build(base, 1)
    history.begin(base, 2)
    (base.builds / "3.removed").mkdir()
    (base.builds / "notes").mkdir()
    (base.builds / "x.partial").mkdir()
    (base.folder / ".active.123.partial").write_text("1")
    assert history.clear_partials(base) == ["2.partial", "3.removed"]
    assert sorted(entry.name for entry in base.builds.iterdir()) == ["1", "notes", "x.partial"]
    assert numbers(base) == [1]
    assert not list(base.folder.glob(".*"))


def damage_truncated(build: history.Build) -> None:
    os.truncate(build.gguf, 1000)


def damage_gguf_missing(build: history.Build) -> None:
    build.gguf.unlink()


def damage_delta_missing(build: history.Build) -> None:
    (build.folder / "delta.safetensors").unlink()


def damage_no_manifest(build: history.Build) -> None:
    (build.folder / "manifest.json").unlink()


def damage_half_manifest(build: history.Build) -> None:
    (build.folder / "manifest.json").write_text('{"format": "homeedit.b')


def damage_other_kind(build: history.Build) -> None:
    (build.folder / "manifest.json").write_text("[1]")


def damage_field_missing(build: history.Build) -> None:
    manifest = json.loads((build.folder / "manifest.json").read_text())
    del manifest["patches"]
    (build.folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_truncated, "1000 bytes instead of"),
        (damage_gguf_missing, "model.gguf is missing"),
        (damage_delta_missing, "delta.safetensors is missing"),
        (damage_no_manifest, "no manifest.json"),
        (damage_half_manifest, "cannot be read"),
        (damage_other_kind, "another kind"),
        (damage_field_missing, "incomplete"),
    ],
)
def test_damage_is_named_and_the_others_still_work(base: BaseModel, damage: object, words: str) -> None:
    for number in (1, 2):
        add_build(base, number)
    history.activate(base, 2)
    damage(history.open_build(base, 2))  # type: ignore[operator]
    assert [bool(build.problem) for build in history.list_builds(base)] == [False, True]
    assert words in history.list_builds(base)[1].problem
    with pytest.raises(HomeEditError, match=words) as caught:
        history.active_build(base)
    assert "build use" in caught.value.hint
    with pytest.raises(HomeEditError, match=words):
        history.activate(base, 2)
    history.activate(base, 1)
    assert history.prune(base, 1) == [2]


def test_a_build_of_another_base_is_named(base: BaseModel) -> None:
    add_build(base, 1)
    other = replace(base, fingerprint="f" * 64)
    assert "another base model" in history.list_builds(other)[0].problem


def test_a_damaged_active_file_is_named(base: BaseModel) -> None:
    (base.folder / "active").write_bytes(b"\xff\x00")
    with pytest.raises(HomeEditError, match="damaged"):
        history.active_number(base)
    add_build_number = 1
    # Choosing a build repairs it.
    make_build(base, [], number=add_build_number, created=CREATED, threads=1, progress=Progress())
    history.finish(base, add_build_number, {})
    history.activate(base, add_build_number)
    assert history.active_number(base) == 1


def test_finish_needs_a_partial_and_a_free_number(base: BaseModel) -> None:
    with pytest.raises(HomeEditError, match="not finished"):
        history.finish(base, 1, {})
    add_build(base, 1)
    make_build(base, [], number=1, created=CREATED, threads=1, progress=Progress())
    with pytest.raises(HomeEditError, match="already there"):
        history.finish(base, 1, {})


SWITCHING = """
import sys
from pathlib import Path
from homeedit.base.store import open_base
from homeedit.builds import history
base = open_base(Path(sys.argv[1]), "tiny")
print("ready", flush=True)
while True:
    for number in (1, 2):
        history.activate(base, number)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_killed_while_switching_one_of_the_builds_is_active(tiny_base: BaseModel, tmp_path: Path) -> None:
    base = own_copy(tiny_base, tmp_path / "models" / "tiny")
    for entry in tiny_base.folder.iterdir():
        if entry.is_file() and not (base.folder / entry.name).exists():
            (base.folder / entry.name).write_bytes(entry.read_bytes())
    for number in (1, 2):
        add_build(base, number)
    for delay in (0.0, 0.003, 0.011):
        child = subprocess.Popen(
            [sys.executable, "-c", SWITCHING, str(tmp_path / "models")], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        time.sleep(0.02 + delay)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        active = history.active_build(base)
        assert active is not None and active.number in (1, 2)
