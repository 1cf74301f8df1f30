"""Which files are to be served: read from the home, nothing loaded."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from homeedit.base.store import BaseModel, recorded_sha256
from homeedit.builds.history import DELTA, active_number, list_builds, open_build, read_manifest
from homeedit.household.results import named_build
from homeedit.household.workspace import Workspace, disk_errors_in_words

Mark = tuple[object, ...]
"""Changes when another build becomes active or another base model is chosen."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model on disk: the base's GGUF (``build`` None), a build's, or the base's with a build's change beside it."""

    base: BaseModel
    build: int | None
    gguf: Path
    changed: int
    """When ``gguf`` was written, in nanoseconds."""
    bytes: int
    delta: Path | None
    """The change that is put on ``gguf`` when it is loaded."""
    digest: str
    modified: str
    facts: int

    @property
    def words(self) -> str:
        """What it is called in sentences."""
        return named_build(self.build)


def without_home(message: str, home: Path) -> str:
    """A message for those who need not know where on this machine the home lies: paths begin below it."""
    return message.replace(f"{home}{os.sep}", "")


def mark(workspace: Workspace) -> Mark:
    """What tells that something else is to be served: one look at one file."""
    name = workspace.settings.model
    try:
        status = (workspace.home.models / name / "active").stat()
    except OSError:
        return (name,)
    return (name, status.st_mtime_ns, status.st_ino, status.st_size)


def base_source(base: BaseModel) -> Source:
    """The base model as it is."""
    status = base.gguf.stat()
    return Source(
        base=base,
        build=None,
        gguf=base.gguf,
        changed=status.st_mtime_ns,
        bytes=status.st_size,
        delta=None,
        digest=recorded_sha256(base, base.gguf),
        modified=datetime.fromtimestamp(status.st_mtime, UTC).isoformat(),
        facts=0,
    )


def source_of(base: BaseModel, number: int | None, *, live_lora: bool) -> Source:
    """Build ``number``, or the base model (None); ``live_lora``: as the base's GGUF and the change to put on it.

    Raises:
        HomeEditError: the build is missing or damaged.
    """
    with disk_errors_in_words():
        if number is None:
            return base_source(base)
        build = open_build(base, number)
        status = (base if live_lora else build).gguf.stat()
        return Source(
            base=base,
            build=number,
            gguf=(base if live_lora else build).gguf,
            changed=status.st_mtime_ns,
            bytes=status.st_size,
            delta=build.folder / DELTA if live_lora else None,
            digest=str(read_manifest(build).get("sha256", "")),
            modified=build.created,
            facts=len(build.facts),
        )


def active_source(workspace: Workspace, *, live_lora: bool) -> Source:
    """What the home says is to be served; raises HomeEditError when it is missing or damaged."""
    base = workspace.base()
    return source_of(base, active_number(base), live_lora=live_lora)


def to_serve(base: BaseModel) -> Iterator[int | None]:
    """The active build (None: the base model), and for the case that it is damaged the older ones, newest first."""
    active = active_number(base)
    yield active
    if active is not None:
        yield from sorted((build.number for build in list_builds(base) if build.number < active), reverse=True)
