"""Reading a GGUF file's header without trusting it, and writing a copy with some tensors in another type.

Follows the GGUF 3 specification (ggml/docs/gguf.md). gguf-py's reader is not used because a truncated or
hostile file makes it fail in many unlike ways, and because it takes seconds for a large vocabulary.
"""

import math
import mmap
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from homeedit.errors import HomeEditError

_MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_MAX_DIMENSIONS = 4
_COPY_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor's entry: ``shape`` in numpy order (rows first), ``type`` a GGMLQuantizationType value,
    ``offset`` and ``size`` in bytes, the offset from the start of the file."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class GgufFile:
    """The header of a GGUF file. Bytes before ``info_offset`` are the fixed header and the metadata,
    then come the tensors' entries, then from ``data_offset`` on their data."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, GgufTensor]
    info_offset: int
    data_offset: int
    alignment: int

    def raw(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor, mapped from the file, read-only: [rows, bytes per row]."""
        tensor = self.tensors[name]
        rows = tensor.shape[0] if len(tensor.shape) > 1 else 1
        return np.memmap(self.path, dtype=np.uint8, mode="r", offset=tensor.offset, shape=(rows, tensor.size // rows))

    def dequantized(self, name: str) -> NDArray[np.float32]:
        """The values of a tensor as float32, shape as in ``GgufTensor.shape``.

        Raises:
            HomeEditError: gguf-py cannot decode the tensor's type.
        """
        import gguf

        tensor = self.tensors[name]
        kind = gguf.GGMLQuantizationType(tensor.type)
        data: NDArray[Any] = self.raw(name)
        if kind == gguf.GGMLQuantizationType.F32:
            data = data.view("<f4")
        elif kind == gguf.GGMLQuantizationType.F16:
            data = data.view("<f2")
        try:
            values = gguf.quants.dequantize(data, kind)
        except NotImplementedError as error:
            raise HomeEditError(
                f"{self.path.name}: the tensor {name} is stored as {kind.name}, which cannot be decoded.",
                "Use a GGUF file of another quantization, for example Q8_0, Q6_K or Q4_K_M.",
            ) from error
        return np.asarray(values, dtype=np.float32).reshape(tensor.shape)


class _Damaged(Exception):
    """The bytes are not a complete GGUF header."""


class _Cursor:
    """Reads the header's fields in turn; any read past the end is a ``_Damaged``."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> memoryview:
        if count > len(self.data) - self.at:
            raise _Damaged("it ends within its header")
        self.at += count
        return self.data[self.at - count : self.at]

    def scalar(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def text(self) -> str:
        return bytes(self.take(self.scalar("Q"))).decode("utf-8", errors="surrogateescape")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self.array()
        if kind not in _SCALARS:
            raise _Damaged(f"a metadata value has the unknown type {kind}")
        return self.scalar(_SCALARS[kind])

    def array(self) -> list[Any]:
        kind, count = self.scalar("I"), self.scalar("Q")
        if kind == _STRING:
            if count > len(self.data) // 8:
                raise _Damaged("it ends within its header")
            return [self.text() for _ in range(count)]
        if kind not in _SCALARS:
            raise _Damaged(f"a metadata array has the unsupported type {kind}")
        size = struct.calcsize("<" + _SCALARS[kind])
        raw = self.take(size * count)
        return list(struct.unpack(f"<{count}{_SCALARS[kind]}", raw))


def read_gguf(path: Path) -> GgufFile:
    """Read and check the header of a GGUF file; the data stays on disk.

    Memory: the metadata (some MB, mostly the vocabulary).

    Raises:
        HomeEditError: there is no such file, it cannot be read, is not GGUF, or is truncated or damaged.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) == _MAGIC:
                view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
                return _parse(path, view, size)
            raise HomeEditError(
                f"{path} is not a GGUF file (it does not begin with the letters GGUF).",
                "Give a file that ends in .gguf and was downloaded completely.",
            )
    except OSError as error:
        raise HomeEditError(f"The model file {path} cannot be read: {error.strerror or error}.") from error
    except (_Damaged, struct.error, OverflowError) as error:
        raise HomeEditError(
            f"The model file {path} is truncated or damaged: {error}.",
            "Download or copy it again; its size should be that of the original.",
        ) from error


def _parse(path: Path, data: memoryview, size: int) -> GgufFile:
    cursor = _Cursor(data)
    cursor.take(len(_MAGIC))
    version = cursor.scalar("I")
    if version not in (2, 3):
        raise _Damaged(f"its GGUF version is {version}; versions 2 and 3 are supported")
    tensor_count, metadata_count = cursor.scalar("Q"), cursor.scalar("Q")
    metadata: dict[str, Any] = {}
    for _ in range(metadata_count):
        key = cursor.text()
        metadata[key] = cursor.value(cursor.scalar("I"))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise _Damaged(f"its alignment is {alignment!r}")
    info_offset = cursor.at
    entries = [_tensor_entry(cursor) for _ in range(tensor_count)]
    data_offset = _aligned(cursor.at, alignment)
    tensors: dict[str, GgufTensor] = {}
    for name, shape, kind, offset, length in entries:
        if name in tensors:
            raise _Damaged(f"it has two tensors called {name!r}")
        if offset % alignment or data_offset + offset + length > size:
            raise _Damaged(f"it ends before the data of the tensor {name!r}")
        tensors[name] = GgufTensor(name, shape, kind, data_offset + offset, length)
    return GgufFile(path, metadata, tensors, info_offset, data_offset, alignment)


def _tensor_entry(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int, int]:
    """(name, shape, type, offset from the data's start, size in bytes) of the next tensor entry."""
    name = cursor.text()
    dimensions = cursor.scalar("I")
    if not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise _Damaged(f"the tensor {name!r} has {dimensions} dimensions")
    shape = tuple(reversed([cursor.scalar("Q") for _ in range(dimensions)]))
    kind, offset = cursor.scalar("I"), cursor.scalar("Q")
    try:
        return name, shape, kind, offset, tensor_size(shape, kind)
    except ValueError as error:
        raise _Damaged(f"the tensor {name!r} cannot be ({error})") from None


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def tensor_size(shape: tuple[int, ...], kind: int) -> int:
    """Bytes that a tensor of ``shape`` takes in the GGUF type ``kind``.

    Raises:
        ValueError: there is no such type, or it has no room for rows of that length.
    """
    import gguf

    try:
        block, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
    except KeyError:
        raise ValueError(f"unknown type {kind}") from None
    elements = math.prod(shape)
    if elements == 0 or shape[-1] % block:
        raise ValueError(f"impossible shape {list(shape)}")
    return int(elements // block * block_bytes)


Replacement = tuple[int, Callable[[], bytes]]
"""A GGUF type and what makes a tensor's bytes in it, called when they are to be written."""


def write_copy(
    source: GgufFile,
    out: Path,
    replacements: Mapping[str, Replacement],
    on_tensor: Callable[[], None] = lambda: None,
) -> None:
    """Copy a GGUF file with the tensors in ``replacements`` in another type.

    The metadata, the order of tensors and every other tensor are copied byte for byte; offsets follow the
    new sizes at the same alignment. Memory: one replaced tensor at a time.

    Raises:
        OSError: reading or writing failed (no space left, for example); ``out`` is then incomplete.
        ValueError: a replacement's bytes are not as many as its type and shape need.
    """
    entries, plan, offset = bytearray(), [], 0
    for tensor in source.tensors.values():
        kind = replacements[tensor.name][0] if tensor.name in replacements else tensor.type
        size = tensor_size(tensor.shape, kind)
        encoded = tensor.name.encode("utf-8", errors="surrogateescape")
        entries += struct.pack("<Q", len(encoded)) + encoded
        entries += struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *reversed(tensor.shape))
        entries += struct.pack("<IQ", kind, offset)
        plan.append((tensor, size))
        offset = _aligned(offset + size, source.alignment)
    with source.path.open("rb") as old, out.open("wb") as new:
        _copy(old, new, 0, source.info_offset)
        new.write(entries)
        for tensor, size in plan:
            new.write(bytes(_aligned(new.tell(), source.alignment) - new.tell()))
            if tensor.name in replacements:
                data = replacements[tensor.name][1]()
                if len(data) != size:
                    raise ValueError(f"{tensor.name}: {len(data)} bytes, not {size}")
                new.write(data)
            else:
                _copy(old, new, tensor.offset, size)
            on_tensor()
        new.write(bytes(_aligned(new.tell(), source.alignment) - new.tell()))
        new.flush()
        os.fsync(new.fileno())


def _copy(old: BinaryIO, new: BinaryIO, offset: int, size: int) -> None:
    old.seek(offset)
    while size:
        data = old.read(min(size, _COPY_CHUNK))
        if not data:
            raise OSError("the source file became shorter while it was copied")
        new.write(data)
        size -= len(data)
