"""The builds of a base model: ``builds/<n>/`` with model.gguf, delta.safetensors and manifest.json.

A build is made in ``builds/<n>.partial`` and appears by one rename; which one is served is the number in the
file ``active`` beside ``builds``, replaced by one rename. Functions that write are for the holder of the
home's lock; those that read need none.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeedit.base.store import BaseModel
from homeedit.errors import USAGE, HomeEditError
from homeedit.patches.container import replace_file, sync_folder

MODEL, DELTA, MANIFEST = "model.gguf", "delta.safetensors", "manifest.json"
FORMAT, VERSION = "homeedit.build", 1

_NO_OTHER = "Make one (homeedit compile), or serve the base model: homeedit build use base"
"""What to do where no build can be used."""

_PARTIAL = re.compile(r"[1-9]\d{0,8}\.(partial|removed)")
_NUMBER = re.compile(r"[1-9]\d{0,8}")


@dataclass(frozen=True, slots=True)
class Build:
    """A build on disk. ``problem`` is empty, or says why it cannot be used."""

    number: int
    folder: Path
    created: str
    patches: tuple[str, ...]
    facts: tuple[str, ...]
    """Ids of its facts."""
    base: str
    fingerprint: str
    recall: float | None
    """Share of its facts recalled when it was made; None if it was not asked."""
    forced: bool
    """Activated against the gate's verdict."""
    bytes: int
    """Size of model.gguf."""
    problem: str = ""
    kl: float | None = None
    """Mean KL to the base on unrelated questions when it was made, in nats a token."""
    kept: tuple[int, int] | None = None
    """Unrelated answers that were still right, and how many the base answers rightly and firmly."""

    @property
    def gguf(self) -> Path:
        """The model that is served."""
        return self.folder / MODEL


def next_number(base: BaseModel, after: int = 0) -> int:
    """The number of the next build: above every build there is or is being made, and above ``after``."""
    used = [after, active_number(base) or 0]
    if base.builds.is_dir():
        used += [int(entry.name.split(".")[0]) for entry in base.builds.iterdir() if _is_ours(entry.name)]
    return max(used) + 1


def begin(base: BaseModel, number: int) -> Path:
    """An empty folder ``builds/<number>.partial`` to make the build in."""
    folder = base.builds / f"{number}.partial"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise HomeEditError(
            f"{folder} could not be made: {error.strerror or error}. The previous build is untouched.",
            "Look at the free space and the permissions of the home.",
        ) from error
    return folder


def finish(base: BaseModel, number: int, verified: Mapping[str, Any]) -> Build:
    """Add what verification found to the manifest and make the partial build a build, in one rename.

    ``verified`` may have ``recall`` (share, or None), ``locality`` (a dict), ``forced``, and whatever else
    should be kept. A Runtime that has the partial's model open keeps working on POSIX; on Windows close it
    first. The build is not active yet.
    """
    partial, folder = base.builds / f"{number}.partial", base.builds / str(number)
    try:
        manifest = _read_manifest(partial)
    except HomeEditError as error:
        raise HomeEditError(f"Build {number} was not finished: {error.message}.", "Compile again.") from error
    write_manifest(partial, {**manifest, **verified})
    if folder.exists():
        raise HomeEditError(f"Build {number} is already there; it was left as it is.", "Compile again.")
    os.rename(partial, folder)
    sync_folder(base.builds)
    return open_build(base, number)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write ``manifest.json`` of a build that is being made."""
    text = json.dumps(dict(manifest), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    replace_file(folder / MANIFEST, text.encode("utf-8"))


def read_manifest(build: Build) -> dict[str, Any]:
    """All of a build's manifest: what it was made of, its types, sums, versions and verification."""
    try:
        return _read_manifest(build.folder)
    except HomeEditError as error:
        raise HomeEditError(f"Build {build.number} is damaged: {error.message}.", "Compile again.") from error


def open_build(base: BaseModel, number: int) -> Build:
    """Build ``number``; raises HomeEditError when it is missing, damaged or of another base model."""
    folder = base.builds / str(number)
    if number < 1 or not folder.is_dir():
        others = "See which there are: homeedit build list" if list_builds(base) else _NO_OTHER
        raise HomeEditError(f"There is no build {number} of {base.name}.", others)
    build = _describe(base, folder)
    if build.problem:
        raise HomeEditError(
            f"Build {number} is damaged: {build.problem}. Facts and patches are untouched.",
            "Make a new one (homeedit compile), or go back to another: homeedit build use N"
            if any(not other.problem for other in list_builds(base))
            else _NO_OTHER,
        )
    return build


def list_builds(base: BaseModel) -> list[Build]:
    """Every finished build, oldest first; damaged ones are there with their ``problem``."""
    if not base.builds.is_dir():
        return []
    folders = [entry for entry in base.builds.iterdir() if _NUMBER.fullmatch(entry.name) and entry.is_dir()]
    return [_describe(base, folder) for folder in sorted(folders, key=lambda folder: int(folder.name))]


def active_number(base: BaseModel) -> int | None:
    """The number of the active build, whole or not; None when the base GGUF itself is served."""
    try:
        text = (base.folder / "active").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        text = ""
    if not _NUMBER.fullmatch(text):
        raise HomeEditError(
            f"The file {base.folder / 'active'} is damaged: it does not hold a build's number.",
            "Choose a build: homeedit build use N",
        )
    return int(text)


def active_build(base: BaseModel) -> Build | None:
    """The build that is served, or None for the base GGUF; raises HomeEditError when it is damaged."""
    number = active_number(base)
    return None if number is None else open_build(base, number)


def activate(base: BaseModel, number: int | None) -> None:
    """Serve build ``number`` from now on, or the base GGUF (None): one rename, all or nothing."""
    path = base.folder / "active"
    if number is None:
        path.unlink(missing_ok=True)
        sync_folder(base.folder)
    else:
        open_build(base, number)
        replace_file(path, f"{number}\n".encode("ascii"))


def prune(base: BaseModel, keep: int) -> list[int]:
    """Delete all but the newest ``keep`` builds, never the active one; returns the numbers deleted."""
    old = old_builds(base, keep)
    for build in old:
        remove_build(base, build.number)
    return [build.number for build in old]


def old_builds(base: BaseModel, keep: int) -> list[Build]:
    """The builds that ``prune`` would delete, oldest first."""
    if keep < 0:
        raise HomeEditError("The number of builds to keep cannot be negative.", "Use 0 or more.", USAGE)
    active = active_number(base)
    builds = [build for build in list_builds(base) if build.number != active]
    # The active build is one of those kept.
    kept = max(0, keep - (active is not None))
    return builds[: max(0, len(builds) - kept)]


def remove_build(base: BaseModel, number: int) -> None:
    """Delete one build, which must not be active; first renamed, so that a kill leaves no half build."""
    if number == active_number(base):
        raise HomeEditError(
            f"Build {number} is the active one; it was not deleted.",
            "Activate another first: homeedit build use N",
        )
    folder = base.builds / str(number)
    removed = base.builds / f"{number}.removed"
    try:
        shutil.rmtree(removed, ignore_errors=True)
        os.rename(folder, removed)
        sync_folder(base.builds)
        shutil.rmtree(removed)
    except OSError as error:
        raise HomeEditError(
            f"Build {number} could not be deleted: {error.strerror or error}.", "Look at the permissions."
        ) from error


def clear_partials(base: BaseModel) -> list[str]:
    """Remove what killed commands left: builds half made or half deleted, whose folders' names it returns, and
    files not yet renamed."""
    for file in base.folder.glob(".*.partial"):
        file.unlink(missing_ok=True)
    if not base.builds.is_dir():
        return []
    names = sorted(entry.name for entry in base.builds.iterdir() if _PARTIAL.fullmatch(entry.name))
    for name in names:
        shutil.rmtree(base.builds / name, ignore_errors=True)
    return names


def _is_ours(name: str) -> bool:
    return bool(_NUMBER.fullmatch(name) or _PARTIAL.fullmatch(name))


def _describe(base: BaseModel, folder: Path) -> Build:
    """A build from its folder; whatever is wrong with it becomes its ``problem``."""
    number, size = int(folder.name), _size(folder / MODEL)
    try:
        manifest = _read_manifest(folder)
        build = Build(
            number=number,
            folder=folder,
            created=str(manifest["created"]),
            patches=tuple(str(patch) for patch in manifest["patches"]),
            facts=tuple(str(fact["id"]) for fact in manifest["facts"]),
            base=str(manifest["base"]),
            fingerprint=str(manifest["fingerprint"]),
            recall=None if manifest.get("recall") is None else float(manifest["recall"]),
            forced=bool(manifest.get("forced", False)),
            bytes=size,
            problem=_problem(base, folder, manifest, size),
            **_locality(manifest),
        )
    except HomeEditError as error:
        return _damaged_build(base, folder, size, error.message)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return _damaged_build(base, folder, size, f"its {MANIFEST} is incomplete ({error})")
    return build


def _damaged_build(base: BaseModel, folder: Path, size: int, problem: str) -> Build:
    return Build(
        number=int(folder.name),
        folder=folder,
        created="",
        patches=(),
        facts=(),
        base=base.name,
        fingerprint="",
        recall=None,
        forced=False,
        bytes=size,
        problem=problem,
    )


def _locality(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest says of unrelated answers, if anything."""
    found = manifest.get("locality")
    if not isinstance(found, Mapping) or not {"kl", "kept", "asked"} <= set(found):
        return {}
    return {"kl": float(found["kl"]), "kept": (int(found["kept"]), int(found["asked"]))}


def _problem(base: BaseModel, folder: Path, manifest: Mapping[str, Any], size: int) -> str:
    if manifest["fingerprint"] != base.fingerprint:
        return f"it was made from another base model ({str(manifest['base'])[:60]})"
    if not (folder / MODEL).is_file():
        return f"its {MODEL} is missing"
    if size != int(manifest["bytes"]):
        return f"its {MODEL} has {size} bytes instead of {int(manifest['bytes'])} (truncated?)"
    if not (folder / DELTA).is_file():
        return f"its {DELTA} is missing"
    return ""


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HomeEditError(f"it has no {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise HomeEditError(f"its {MANIFEST} cannot be read") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
        raise HomeEditError(f"its {MANIFEST} is of another kind or version")
    return manifest


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
