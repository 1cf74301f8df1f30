"""Everything a hostile or damaged patch may be: each refused in its own words, nothing raised but HomeEditError."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from homeedit.base.store import BaseModel
from homeedit.errors import HomeEditError
from homeedit.patches.check import MOST_NORM, change_norm, check_patch
from homeedit.patches.container import MOST_HEADER_BYTES, read_header
from homeedit.patches.facts import MOST_CHARACTERS, MOST_QUESTIONS
from homeedit.patches.file import Patch
from tests.builds.helpers import random_patch

A0 = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"
B0 = "base_model.model.model.layers.0.mlp.down_proj.lora_B.weight"

Tensors = dict[str, np.ndarray]
Metadata = dict[str, str]


@pytest.fixture
def check(tiny_base: BaseModel) -> Callable[[Path], Patch]:
    return lambda file: check_patch(
        file,
        fingerprint=tiny_base.fingerprint,
        edited_layers=tiny_base.edited_layers,
        d_model=tiny_base.d_model,
        d_ff=tiny_base.d_ff,
    )


@pytest.fixture
def patch(tiny_base: BaseModel, tmp_path: Path) -> Patch:
    return random_patch(tiny_base, tmp_path)


def changed(patch: Patch, change: Callable[[Tensors, Metadata], Any]) -> Path:
    """The patch with its tensors and metadata changed, under a name without an id."""
    tensors, metadata = load_file(patch.file), dict(read_header(patch.file).metadata)
    change(tensors, metadata)
    path = patch.file.with_name("given.safetensors")
    save_file(tensors, path, metadata)
    return path


def raw(path: Path, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def test_a_good_patch_passes_under_any_name(check: Callable[[Path], Patch], patch: Patch, tmp_path: Path) -> None:
    assert check(patch.file) == patch
    # What the library wrote (metadata in any order) is as good as our own writer's file.
    assert check(changed(patch, lambda tensors, metadata: None)).id == patch.id


def test_float32_factors_pass(check: Callable[[Path], Patch], patch: Patch) -> None:
    def to_float32(tensors: Tensors, metadata: Metadata) -> None:
        for name in tensors:
            tensors[name] = tensors[name].astype(np.float32)

    assert check(changed(patch, to_float32)).rank == 3


TENSOR_CASES: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "nan": (lambda t: t[A0].__setitem__((0, 0), np.nan), "not finite"),
    "infinity": (lambda t: t["keys.1"].__setitem__((1, 3), np.inf), "not finite"),
    "ranks differ": (lambda t: t.update({B0: t[B0][:, :2].copy()}), "different ranks, 3 and 2"),
    "rank 0": (lambda t: t.update({A0: t[A0][:0], B0: t[B0][:, :0].copy()}), "rank 0"),
    "rank too high": (
        lambda t: t.update({A0: np.zeros((65, 256), np.float16), B0: np.zeros((64, 65), np.float16)}),
        "rank 65; 1 to 64",
    ),
    "another d_ff": (lambda t: t.update({A0: t[A0][:, :128].copy()}), r"needs \[r, 256\] and \[64, r\]"),
    "another d_model": (lambda t: t.update({B0: t[B0][:32]}), r"needs \[r, 256\]"),
    "three dimensions": (lambda t: t.update({A0: t[A0][None]}), r"shapes \[1, 3, 256\]"),
    "no B": (lambda t: t.__delitem__(B0), "only one of the factors"),
    "another layer": (
        lambda t: t.update({A0.replace(".0.", ".7."): t.pop(A0), B0.replace(".0.", ".7."): t.pop(B0)}),
        "changes layer 7",
    ),
    "another weight": (lambda t: t.update({A0.replace("down_proj", "up_proj"): t[A0]}), "which no patch has"),
    "a path": (lambda t: t.update({"../../../x": t[A0]}), "which no patch has"),
    "leading zero": (lambda t: t.update({"keys.01": t["keys.1"]}), "which no patch has"),
    "float64": (lambda t: t.update({A0: t[A0].astype(np.float64)}), "dtype F64"),
    "integers": (lambda t: t.update({"keys.0": np.ones((1, 256), np.int8)}), "dtype I8"),
    "keys of another layer": (lambda t: t.update({"keys.9": t["keys.1"]}), "keys of layer 9"),
    "keys of another width": (lambda t: t.update({"keys.1": t["keys.1"][:, :9].copy()}), r"keys.1 has shape \[2, 9\]"),
    "keys flat": (lambda t: t.update({"keys.1": t["keys.1"][0]}), "keys.1 has shape"),
    "too large": (lambda t: t.update({A0: t[A0] * 0 + 200, B0: t[B0] * 0 + 200}), "too large"),
    "nothing": (lambda t: t.clear(), "changes no weight"),
}


@pytest.mark.parametrize("case", TENSOR_CASES)
def test_tensors_are_refused(case: str, check: Callable[[Path], Patch], patch: Patch) -> None:
    change, words = TENSOR_CASES[case]
    file = changed(patch, lambda tensors, metadata: change(tensors))
    with pytest.raises(HomeEditError, match=words) as caught:
        check(file)
    assert "given.safetensors" in caught.value.message
    assert "Nothing was changed" in caught.value.message
    assert caught.value.hint


def edit_fact(**changes: Any) -> Callable[[Metadata], Any]:
    def change(metadata: Metadata) -> None:
        facts = json.loads(metadata["facts"])
        facts[0].update(changes)
        metadata["facts"] = json.dumps(facts)

    return change


def set_to(**values: str) -> Callable[[Metadata], Any]:
    return lambda metadata: metadata.update(values)


METADATA_CASES: dict[str, tuple[Callable[[Metadata], Any], str]] = {
    "another format": (set_to(format="pt"), "not a homeedit patch"),
    "another version": (set_to(version="2"), "version '2'"),
    "another base": (set_to(fingerprint="0" * 64), "another base model"),
    "hostile fingerprint": (set_to(fingerprint="[red]"), "'fingerprint' is missing or malformed"),
    "hostile base": (set_to(base="../x\n"), "'base' is missing or malformed"),
    "seed": (set_to(seed="1e9"), "'seed' is missing or malformed"),
    "created": (set_to(created="yesterday"), "'created' is not a time"),
    "parents": (set_to(parents='["../p"]'), "parents"),
    "parents not JSON": (set_to(parents="p1"), "'parents' is missing or malformed"),
    "recipe": (set_to(recipe="[1]"), "'recipe' is missing or malformed"),
    "recipe deep": (set_to(recipe="[" * 50_000), "'recipe' is missing or malformed"),
    "facts not JSON": (set_to(facts="{"), "facts are not valid JSON"),
    "facts deep": (set_to(facts="[" * 200_000), "facts are not valid JSON"),
    "facts empty": (set_to(facts="[]"), "not a list of 1"),
    "facts absent": (lambda metadata: metadata.pop("facts"), "facts are not valid JSON"),
    "fact not an object": (set_to(facts="[1]"), "fact 1 is not an object"),
    "sentence a number": (edit_fact(sentence=3), "sentence of its fact 1 is not a text"),
    "sentence empty": (edit_fact(sentence="  "), "sentence of its fact 1 is not a text"),
    "sentence long": (edit_fact(sentence="x" * (MOST_CHARACTERS + 1)), "longer than"),
    "escape codes": (edit_fact(sentence="a \x1b[2J b"), "control characters"),
    "line break": (edit_fact(target="a\nb"), "control characters"),
    "turned text": (edit_fact(target="abc\u202etxt"), "control characters"),
    "lone surrogate": (edit_fact(target="a\ud800"), "control characters"),
    "no question": (edit_fact(questions=[]), "questions of its fact 1 are not a list of 1 to"),
    "questions a text": (edit_fact(questions="why?"), "questions of its fact 1 are not a list"),
    "many questions": (edit_fact(questions=["?"] * (MOST_QUESTIONS + 1)), "questions of its fact 1"),
    "question null": (edit_fact(questions=[None]), "a question of its fact 1"),
    "id": (edit_fact(id="../f1"), "id of its fact 1"),
    "more fields": (edit_fact(extra="x"), "does not have the fields"),
    "subject elsewhere": (edit_fact(subject="The moon"), "does not contain its subject"),
}


@pytest.mark.parametrize("case", METADATA_CASES)
def test_metadata_is_refused(case: str, check: Callable[[Path], Patch], patch: Patch) -> None:
    change, words = METADATA_CASES[case]
    file = changed(patch, lambda tensors, metadata: change(metadata))
    with pytest.raises(HomeEditError, match=words) as caught:
        check(file)
    assert caught.value.hint


def test_two_facts_with_one_id_are_refused(check: Callable[[Path], Patch], patch: Patch) -> None:
    def double(tensors: Tensors, metadata: Metadata) -> None:
        metadata["facts"] = json.dumps(json.loads(metadata["facts"]) * 2)

    with pytest.raises(HomeEditError, match="same id"):
        check(changed(patch, double))


def entry(start: int, end: int, shape: list[int] | None = None, dtype: str = "F16") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [(end - start) // 2] if shape is None else shape, "data_offsets": [start, end]}


CONTAINER_CASES: dict[str, tuple[bytes, bytes, int | None, str]] = {
    "huge header": (b"{}", b"", 2**62, "header claims"),
    "header over the bound": (b"{}", b"", MOST_HEADER_BYTES + 1, "header claims"),
    "header beyond the file": (b"{}", b"", 500, "longer than the file"),
    "not JSON": (b"{'a'}", b"", None, "not valid JSON"),
    "not UTF-8": (b"\xff\xfe", b"", None, "not valid JSON"),
    "deep JSON": (b"[" * 100_000, b"", None, "not valid JSON"),
    "a list": (b"[]", b"", None, "not a JSON object"),
    "a name twice": (b'{"a": 1, "a": 2}', b"", None, "not valid JSON"),
    "metadata of numbers": (b'{"__metadata__": {"a": 1}}', b"", None, "map of strings"),
    "entry not an object": (b'{"a": 1}', b"", None, "malformed"),
    "overlap": (json.dumps({"a": entry(0, 4), "b": entry(2, 6)}).encode(), bytes(6), None, "overlap"),
    "gap": (json.dumps({"a": entry(0, 4), "b": entry(6, 8)}).encode(), bytes(8), None, "gap"),
    "truncated": (json.dumps({"a": entry(0, 400)}).encode(), bytes(8), None, "truncated"),
    "more bytes": (json.dumps({"a": entry(0, 4)}).encode(), bytes(8), None, "bytes follow"),
    "size of shape": (json.dumps({"a": entry(0, 4, [9])}).encode(), bytes(4), None, "another number of bytes"),
    "negative": (json.dumps({"a": entry(-4, 4)}).encode(), bytes(4), None, "malformed"),
    "fraction": (json.dumps({"a": entry(0, 4, [1.5])}).encode(), bytes(4), None, "malformed"),  # type: ignore[list-item]
    "truth": (b'{"a": {"dtype": "F16", "shape": [true], "data_offsets": [0, 2]}}', bytes(2), None, "malformed"),
    "dtype a list": (b'{"a": {"dtype": [], "shape": [1], "data_offsets": [0, 2]}}', bytes(2), None, "dtype"),
    "overflow": (
        json.dumps({"a": entry(0, 0, [2**61, 2**61, 8])}).encode(),
        b"",
        None,
        "another number of bytes",
    ),
}


@pytest.mark.parametrize("case", CONTAINER_CASES)
def test_containers_are_refused(case: str, check: Callable[[Path], Patch], tmp_path: Path) -> None:
    header, data, length, words = CONTAINER_CASES[case]
    with pytest.raises(HomeEditError, match=words) as caught:
        check(raw(tmp_path / "given.safetensors", header, data, length))
    assert "given.safetensors" in caught.value.message


def test_other_files_are_refused(check: Callable[[Path], Patch], tmp_path: Path) -> None:
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    with pytest.raises(HomeEditError, match="too short"):
        check(empty)
    with pytest.raises(HomeEditError, match="could not be read"):
        check(tmp_path / "missing.safetensors")
    with pytest.raises(HomeEditError, match="could not be read"):
        check(tmp_path)


def test_a_truncation_at_any_byte_is_refused(check: Callable[[Path], Patch], patch: Patch, tmp_path: Path) -> None:
    data, file = patch.file.read_bytes(), tmp_path / "cut.safetensors"
    for length in [*range(0, 64), *range(64, len(data), 997), len(data) - 1]:
        file.write_bytes(data[:length])
        with pytest.raises(HomeEditError):
            check(file)


def test_random_damage_raises_nothing_else(check: Callable[[Path], Patch], patch: Patch, tmp_path: Path) -> None:
    data, file = patch.file.read_bytes(), tmp_path / patch.file.name
    header_length = 8 + int.from_bytes(data[:8], "little")
    random = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(data)
        broken[random.integers(header_length)] = random.integers(256)
        file.write_bytes(broken)
        try:
            check(file)
        except HomeEditError:
            continue


def test_contents_must_belong_to_the_id_in_the_name(check: Callable[[Path], Patch], patch: Patch) -> None:
    data = bytearray(patch.file.read_bytes())
    data[-1] ^= 1
    patch.file.write_bytes(data)
    with pytest.raises(HomeEditError, match="it was changed"):
        check(patch.file)


def test_norms_are_those_of_the_product() -> None:
    random = np.random.default_rng(3)
    a, b = random.standard_normal((5, 40)), random.standard_normal((30, 5))
    assert change_norm(a.astype(np.float32), b.astype(np.float32)) == pytest.approx(np.linalg.norm(b @ a), rel=1e-5)
    # Factors at float16's end do not overflow on the way.
    assert change_norm(np.full((4, 99), 6e4, np.float16), np.full((99, 4), 6e4, np.float16)) > MOST_NORM
