"""safetensors files: written with the same bytes every time, read with every size checked first.

The library's writer orders metadata by a hash map, so its bytes differ between runs; a patch's must not.
Format: https://github.com/huggingface/safetensors#format (8 bytes header length, JSON header, tensor bytes).
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from homeedit.editing.delta import Array
from homeedit.errors import HomeEditError

MOST_HEADER_BYTES = 16 * 2**20
"""A header beyond this is refused before it is read: 10,000 facts take about 6 MB."""

_DTYPES: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one tensor lies: its safetensors dtype, shape, and byte range in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """The checked header of a safetensors file: its metadata and tensors, sorted by name."""

    metadata: dict[str, str]
    tensors: dict[str, Entry]


def encode(tensors: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """A whole safetensors file as bytes; float16 and float32 tensors; the same bytes for the same input."""
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    parts: list[bytes] = []
    offset = 0
    # float32 first: every tensor then starts at a multiple of its item size.
    for name in sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)):
        array = np.ascontiguousarray(tensors[name])
        data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        header[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        parts.append(data)
        offset += len(data)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def replace_file(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, sync it to disk, then rename: the file is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise HomeEditError(
            f"{path.name} could not be written: {error.strerror or error}. Nothing was changed.",
            "Look at the free space and the permissions of the folder, then try again.",
        ) from error
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` survive a power cut (where folders can be synced: not on Windows)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_header(path: Path) -> Header:
    """Read and check a header: lengths, JSON, metadata of strings, tensors that tile the file exactly.

    Raises HomeEditError that says which of these is wrong; reads at most ``MOST_HEADER_BYTES``.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return _parse_header(file, size)
    except OSError as error:
        raise HomeEditError(f"{path} could not be read: {error.strerror or error}.", "Check the path.") from error
    except HomeEditError as error:
        raise damaged(path, error.message) from error


def read_tensors(path: Path, entries: Mapping[str, Entry]) -> dict[str, Array]:
    """Read the named tensors (read-only arrays of their stored dtype)."""
    found: dict[str, Array] = {}
    try:
        with path.open("rb") as file:
            for name, entry in entries.items():
                file.seek(entry.start)
                data = file.read(entry.end - entry.start)
                found[name] = np.frombuffer(data, dtype=_DTYPES[entry.dtype]).reshape(entry.shape)
    except (OSError, ValueError) as error:
        raise damaged(path, "it could not be read to its end") from error
    return found


def damaged(path: Path, why: str) -> HomeEditError:
    """The error for a file that cannot be a whole patch."""
    return HomeEditError(
        f"{path.name} cannot be used as a patch: {why}. Nothing was changed.",
        "Take the file from its source again, or export the patch again.",
    )


def _parse_header(file: BinaryIO, size: int) -> Header:
    length = int.from_bytes(file.read(8), "little")
    if size < 8:
        raise HomeEditError("it is too short to be a safetensors file")
    if length > MOST_HEADER_BYTES:
        raise HomeEditError(f"its header claims {length} bytes, and at most {MOST_HEADER_BYTES} are allowed")
    if 8 + length > size:
        raise HomeEditError("its header is longer than the file (truncated?)")
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise HomeEditError("its header is not valid JSON") from error
    if not isinstance(header, dict):
        raise HomeEditError("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise HomeEditError("its metadata is not a map of strings")
    entries = {name: _parse_entry(name, value, 8 + length) for name, value in sorted(header.items())}
    _check_tiling(entries.values(), 8 + length, size)
    return Header(metadata=cast("dict[str, str]", metadata), tensors=entries)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name stands twice")
    return result


def _parse_entry(name: str, value: Any, base: int) -> Entry:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise HomeEditError(f"the entry of tensor {name[:80]!r} is malformed")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise HomeEditError(f"tensor {name[:80]!r} has dtype {str(dtype)[:20]}; float16 and float32 are allowed")
    if not _is_counts(shape) or not _is_counts(offsets) or len(shape) > 4 or len(offsets) != 2:
        raise HomeEditError(f"the shape or offsets of tensor {name[:80]!r} are malformed")
    if offsets[1] - offsets[0] != math.prod(shape) * _DTYPES[dtype].itemsize:
        raise HomeEditError(f"tensor {name[:80]!r} has another number of bytes than its shape needs")
    return Entry(dtype=dtype, shape=tuple(shape), start=base + offsets[0], end=base + offsets[1])


def _is_counts(value: Any) -> bool:
    # bool is an int in Python, but not a size.
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**62 for item in value)


def _check_tiling(entries: Iterable[Entry], start: int, size: int) -> None:
    position = start
    for entry in sorted(entries, key=lambda entry: (entry.start, entry.end)):
        if entry.start != position:
            raise HomeEditError("its tensors overlap or leave a gap")
        position = entry.end
    if position != size:
        missing = position > size
        raise HomeEditError("it is truncated" if missing else "bytes follow its last tensor")
