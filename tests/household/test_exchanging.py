"""Patches between homes, and what is refused at the door."""

import json
import struct
from pathlib import Path

import pytest

from homeedit.errors import HomeEditError
from homeedit.facts import rows
from homeedit.household import Contradiction, Household
from homeedit.settings import Home
from tests.household import fakes
from tests.household.conftest import Heard, World
from tests.household.test_compile import SENTENCES, patches_of, states, teach


@pytest.fixture
def exported(household: Household, world: World, tmp_path: Path) -> Path:
    """A patch of two facts, exported."""
    teach(household, *SENTENCES[:2])
    household.compile()
    out = tmp_path / "out" / "patch.safetensors"
    household.export_patches(["f1"], out)
    return out


@pytest.fixture
def other(household: Household, world: World, tmp_path: Path) -> Household:
    """A second home with the same base model."""
    return Household(fakes.make_home(tmp_path / "other", household.models()[0]))


def test_an_exported_patch_is_applied_elsewhere_without_compiling(
    household: Household, other: Household, exported: Path
) -> None:
    teach(other, SENTENCES[2])
    compiled = len(fakes.COMPILED)
    patch = other.import_patch(exported)
    assert [fact.id for fact in patch.facts] == ["f2", "f3"]
    assert patch.id == household.patches()[0].id
    other.disable(["f1"])
    other.compile()
    assert len(fakes.COMPILED) == compiled
    assert states(other) == {"f1": "draft", "f2": "live", "f3": "live"}
    assert other.builds()[0][-1].gguf.read_bytes() == household.builds()[0][-1].gguf.read_bytes()


def test_looking_at_a_patch_stores_nothing(other: Household, exported: Path) -> None:
    assert [fact.sentence for fact in other.inspect_patch(exported).facts] == list(SENTENCES[:2])
    assert other.facts() == [] and other.patches() == []


def test_importing_twice_or_at_home_changes_nothing(household: Household, exported: Path, heard: Heard) -> None:
    before = patches_of(household)
    household.import_patch(exported)
    assert patches_of(household) == before and len(household.patches()) == 1
    household.disable(["f1"])
    household.import_patch(exported, progress=heard)
    assert any("f1" in line and "enable" in line for line in heard.lines)


def test_a_patch_whose_facts_are_typed_already_is_taken_for_them(other: Household, exported: Path) -> None:
    teach(other, SENTENCES[1])
    other.import_patch(exported)
    assert [fact.sentence for fact in other.facts()] == [SENTENCES[1], SENTENCES[0]]
    compiled = len(fakes.COMPILED)
    other.compile()
    assert len(fakes.COMPILED) == compiled and set(states(other).values()) == {"live"}


def test_a_patch_that_contradicts_is_refused_replaces_or_is_kept(other: Household, exported: Path) -> None:
    teach(other, "The spare key is on the red hook.")
    with pytest.raises(Contradiction):
        other.import_patch(exported)
    assert len(other.facts()) == 1 and other.patches() == []
    other.import_patch(exported, on_conflict="replace")
    assert [fact.sentence for fact in other.facts()] == list(SENTENCES[:2])
    other.compile()
    assert set(states(other).values()) == {"live"}


def test_a_full_disk_leaves_no_half_of_the_facts(
    other: Household, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, stored = rows.insert_fact, []

    def full(*arguments: object) -> object:
        if stored:
            raise OSError(28, "No space left on device")
        stored.append(1)
        return insert(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr("homeedit.facts.ledger.insert_fact", full)
        with pytest.raises(HomeEditError, match="disk is full"):
            other.import_patch(exported)
    assert other.facts() == [] and other.patches() == []


def test_a_known_sentence_spelled_otherwise_is_refused(other: Household, exported: Path) -> None:
    other.add(SENTENCES[0], prompt="The spare key is under the", target="blue flower pot")
    with pytest.raises(HomeEditError, match="otherwise than f1"):
        other.import_patch(exported)
    assert len(other.facts()) == 1


def test_a_patch_for_another_base_is_refused_by_fingerprint(other: Household, exported: Path) -> None:
    data = bytearray(exported.read_bytes())
    fingerprint = other.models()[0].fingerprint.encode()
    data[:] = data.replace(fingerprint, fingerprint[::-1])
    exported.write_bytes(bytes(data))
    with pytest.raises(HomeEditError, match="another base model"):
        other.import_patch(exported)


def header_of(data: bytes) -> tuple[dict[str, dict[str, object]], bytes]:
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def with_header(header: object, rest: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + rest


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:100],
        lambda data: data[:-10],
        lambda data: struct.pack("<Q", 2**62) + data[8:],
        lambda data: with_header({"__metadata__": {}}, b""),
        lambda data: with_header([1, 2, 3], b""),
        lambda data: data[:-2] + struct.pack("<e", float("nan")),
        lambda data: b"\x80\x04\x95pickle" + data,
    ],
    ids=["empty", "cut", "short", "huge header", "no facts", "no object", "NaN", "not safetensors"],
)
def test_damaged_and_hostile_files_are_refused(other: Household, exported: Path, damage) -> None:  # type: ignore[no-untyped-def]
    exported.write_bytes(damage(exported.read_bytes()))
    with pytest.raises(HomeEditError) as caught:
        other.import_patch(exported)
    assert caught.value.message
    assert other.facts() == [] and other.patches() == []


def test_a_wrong_shape_is_refused(other: Household, exported: Path) -> None:
    header, rest = header_of(exported.read_bytes())
    name = next(name for name in header if name.endswith("lora_A.weight"))
    shape = header[name]["shape"]
    header[name]["shape"] = [shape[1], shape[0]]  # type: ignore[index]
    exported.write_bytes(with_header(header, rest))
    with pytest.raises(HomeEditError, match="shape"):
        other.import_patch(exported)


def test_a_missing_file_is_told(other: Household, tmp_path: Path) -> None:
    with pytest.raises(HomeEditError):
        other.import_patch(tmp_path / "nothing.safetensors")
    with pytest.raises(HomeEditError):
        other.import_patch(tmp_path)


def test_exports_in_other_formats_and_what_is_refused(household: Household, exported: Path, tmp_path: Path) -> None:
    household.export_patches(["f2"], tmp_path / "peft", format_name="peft")
    assert (tmp_path / "peft" / "adapter_config.json").is_file()
    household.export_patches(["f2"], tmp_path / "lora.gguf", format_name="gguf-lora")
    assert (tmp_path / "lora.gguf").read_bytes().startswith(b"GGUF")
    with pytest.raises(HomeEditError, match="no format 'zip'"):
        household.export_patches(["f1"], tmp_path / "x", format_name="zip")
    with pytest.raises(HomeEditError, match="already there"):
        household.export_patches(["f1"], exported)
    household.export_patches(["f1"], exported, force=True)


def test_a_build_is_exported_whole(household: Household, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.gguf"
    build = household.export_build(None, out)
    assert out.read_bytes() == build.gguf.read_bytes()
    with pytest.raises(HomeEditError, match="already there"):
        household.export_build(1, out)
    household.export_build(1, out, force=True)
    with pytest.raises(HomeEditError, match="folder"):
        household.export_build(1, tmp_path)


def test_export_without_a_build(home: Home, household: Household, tmp_path: Path) -> None:
    with pytest.raises(HomeEditError, match="no build to export"):
        household.export_build(None, tmp_path / "model.gguf")
