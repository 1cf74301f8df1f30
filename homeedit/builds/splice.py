"""Splice: a copy of the base GGUF with some tensors' bytes replaced."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from homeedit.base.gguf_file import GgufFile
from homeedit.errors import HomeEditError


def splice(base: GgufFile, out: Path, tensors: Mapping[str, bytes]) -> None:
    """Write ``out``: the base GGUF's bytes, but for ``tensors`` (name → bytes of the type it has there).

    Nothing moves, so metadata, offsets and every other tensor stay as they are; without tensors the file is
    identical to the base. The copy is made by the kernel (sendfile), then synced. Raises HomeEditError for a
    tensor the base does not have or bytes of another size, before anything is written; and when the disk
    is full (``out`` is then removed).
    """
    for name, data in tensors.items():
        if name not in base.tensors:
            raise HomeEditError(f"The base GGUF has no tensor {name}. No build was made.", "Add the base model again.")
        if len(data) != base.tensors[name].size:
            raise HomeEditError(
                f"{name} has {len(data)} bytes after quantizing, {base.tensors[name].size} in the base GGUF."
                " No build was made.",
                "Add the base model again.",
            )
    try:
        shutil.copyfile(base.path, out)
        with out.open("r+b") as file:
            for name, data in tensors.items():
                file.seek(base.tensors[name].offset)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        out.unlink(missing_ok=True)
        raise HomeEditError(
            f"The build could not be written: {error.strerror or error}. The previous build is untouched.",
            "Free some space (homeedit build prune), then compile again.",
        ) from error
