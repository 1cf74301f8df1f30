"""The patches of a home: the files of its ``edits`` folder."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from homeedit.errors import HomeEditError
from homeedit.patches.check import check_patch
from homeedit.patches.container import encode, read_header, read_tensors, replace_file, sync_folder
from homeedit.patches.facts import PatchFact, dump_facts
from homeedit.patches.file import FILE_NAME, Patch, load_delta, load_keys, read_patch, slug, write_patch

__all__ = [
    "Patch",
    "PatchFact",
    "check_patch",
    "clear_partial_patches",
    "damaged_patches",
    "delete_patch",
    "find_patch",
    "list_patches",
    "load_delta",
    "load_keys",
    "patch_id_of",
    "read_patch",
    "store_patch",
    "write_patch",
]


def list_patches(edits: Path) -> list[Patch]:
    """Every readable patch, oldest first (created, then id). ``damaged_patches`` names the others."""
    return _scan(edits)[0]


def damaged_patches(edits: Path) -> list[tuple[Path, str]]:
    """Files that have a patch's name but cannot be read as one, and why."""
    return _scan(edits)[1]


def patch_id_of(file: Path) -> str:
    """The id in the name of a file of ``edits``, readable or not."""
    return file.name.partition("-")[0]


def find_patch(edits: Path, identity: str) -> Patch:
    """The patch with this id; raises HomeEditError when there is none or its file is damaged."""
    files = _files(edits, identity) if re.fullmatch(r"p[0-9a-f]{8}", identity) else []
    if not files:
        raise HomeEditError(
            f"There is no patch {identity[:40]!r} in {edits}.", "See which there are: homeedit patch list"
        )
    return read_patch(files[0])


def store_patch(patch: Patch, edits: Path, fact_ids: Sequence[str]) -> Patch:
    """Put a checked patch file into ``edits`` with this home's ids for its facts; its own id stays the same.

    ``fact_ids`` has one id per fact of the patch, in order.
    """
    if len(fact_ids) != len(patch.facts):
        raise HomeEditError(f"The patch has {len(patch.facts)} facts, and {len(fact_ids)} ids were given for them.")
    header = read_header(patch.file)
    facts = [replace(fact, id=identity) for fact, identity in zip(patch.facts, fact_ids, strict=True)]
    data = encode(read_tensors(patch.file, header.tensors), {**header.metadata, "facts": dump_facts(facts)})
    path = edits / f"{patch.id}-{slug(facts[0].subject)}.safetensors"
    replace_file(path, data)
    return read_patch(path)


def delete_patch(edits: Path, identity: str) -> None:
    """Delete a patch's file, readable or not; raises HomeEditError when there is none."""
    files = _files(edits, identity) if re.fullmatch(r"p[0-9a-f]{8}", identity) else []
    if not files:
        raise HomeEditError(
            f"There is no patch {identity[:40]!r} in {edits}.", "See which there are: homeedit patch list"
        )
    for file in files:
        file.unlink(missing_ok=True)
    sync_folder(edits)


def clear_partial_patches(edits: Path) -> None:
    """Remove what a killed writer left behind; only for the holder of the home's lock."""
    for file in edits.glob(".p*.partial"):
        file.unlink(missing_ok=True)


def _files(edits: Path, identity: str) -> list[Path]:
    return sorted(
        file for file in edits.glob(f"{identity}-*.safetensors") if FILE_NAME.fullmatch(file.name) and file.is_file()
    )


def _scan(edits: Path) -> tuple[list[Patch], list[tuple[Path, str]]]:
    patches: list[Patch] = []
    problems: list[tuple[Path, str]] = []
    for file in sorted(edits.glob("p*.safetensors")):
        if not FILE_NAME.fullmatch(file.name):
            continue
        try:
            patches.append(read_patch(file))
        except HomeEditError as error:
            problems.append((file, error.message))
    return sorted(patches, key=lambda patch: (patch.created, patch.id)), problems
