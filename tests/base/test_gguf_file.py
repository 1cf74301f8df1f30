"""Reading GGUF headers: agreement with gguf-py, and refusal of all that is broken."""

import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from homeedit.base.gguf_file import read_gguf, write_copy
from homeedit.errors import HomeEditError
from tests.support.ggml import ggml_quantized


def test_agrees_with_gguf_py(tiny_gguf: Path) -> None:
    ours, theirs = read_gguf(tiny_gguf), gguf.GGUFReader(tiny_gguf)
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        found = ours.tensors[tensor.name]
        assert (found.offset, found.size, found.type) == (
            tensor.data_offset,
            tensor.n_bytes,
            int(tensor.tensor_type),
        )
        assert list(found.shape) == [int(length) for length in reversed(tensor.shape)]
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(ours.dequantized(tensor.name), expected.reshape(found.shape))
    for key, field in theirs.fields.items():
        if not key.startswith("GGUF."):
            assert ours.metadata[key] == field.contents()


def test_k_quants_decode(tmp_path: Path) -> None:
    """Q6_K made by llama.cpp comes back close to what it was made from."""
    values = np.random.default_rng(0).standard_normal((4, 256)).astype(np.float32)
    kind = gguf.GGMLQuantizationType.Q6_K
    data = np.frombuffer(ggml_quantized(values, kind), np.uint8)
    path = tmp_path / "k.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("x", data.reshape(4, -1), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read_gguf(path).dequantized("x")
    assert found.shape == (4, 256)
    assert 0 < np.abs(found - values).max() < 0.1


def test_copy_without_replacements_is_the_same_file(tiny_gguf: Path, tmp_path: Path) -> None:
    write_copy(read_gguf(tiny_gguf), tmp_path / "copy.gguf", {})
    assert (tmp_path / "copy.gguf").read_bytes() == tiny_gguf.read_bytes()


def test_copy_refuses_bytes_of_the_wrong_size(tiny_gguf: Path, tmp_path: Path) -> None:
    replacement = (int(gguf.GGMLQuantizationType.Q8_0), lambda: b"too short")
    with pytest.raises(ValueError, match="bytes"):
        write_copy(read_gguf(tiny_gguf), tmp_path / "copy.gguf", {"blk.0.ffn_down.weight": replacement})


def test_every_truncation_is_a_clear_error(tiny_gguf: Path, tmp_path: Path) -> None:
    data = tiny_gguf.read_bytes()
    header = read_gguf(tiny_gguf).data_offset
    lengths = [*range(4, 64), *range(64, header, 997), header, header + 1, len(data) // 2, len(data) - 200]
    path = tmp_path / "cut.gguf"
    for length in lengths:
        path.write_bytes(data[:length])
        with pytest.raises(HomeEditError, match="truncated or damaged"):
            read_gguf(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a GGUF file"),
        (b"GGU", "not a GGUF file"),
        (b"PK\x03\x04 a zip archive", "not a GGUF file"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(32), "version is 1"),
        (b"GGUF" + struct.pack("<I", 0x03000000) + bytes(32), "version"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0) + bytes(32), "truncated or damaged"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63) + bytes(32), "truncated or damaged"),
        # One metadata value that is an array of 2**60 strings.
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 8, 2**60) + bytes(64),
            "ends within its header",
        ),
        # One tensor with nine dimensions.
        (
            b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q1sI", 1, b"t", 9) + bytes(200),
            "9 dimensions",
        ),
        # One tensor of a type that does not exist.
        (
            b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q1sIQIQ", 1, b"t", 1, 32, 999, 0) + bytes(200),
            "cannot be",
        ),
    ],
)
def test_hostile_files_are_clear_errors(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(data)
    with pytest.raises(HomeEditError, match=words):
        read_gguf(path)


def test_damaged_bytes_in_the_header_never_escape_as_another_error(tiny_gguf: Path, tmp_path: Path) -> None:
    source = read_gguf(tiny_gguf)
    data = bytearray(tiny_gguf.read_bytes())
    random = np.random.default_rng(1)
    path = tmp_path / "flipped.gguf"
    refused = 0
    for position in [*range(4, 24), *random.integers(24, source.data_offset, 60).tolist()]:
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read_gguf(path)
        except HomeEditError:
            refused += 1
    assert refused >= 10


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(HomeEditError, match="cannot be read"):
        read_gguf(tmp_path / "nothing.gguf")
