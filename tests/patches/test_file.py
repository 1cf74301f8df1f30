"""The patch file: what the design says is in it, the same bytes every time, and read back as written."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from homeedit.base.store import BaseModel
from homeedit.editing.delta import LowRank
from homeedit.errors import HomeEditError
from homeedit.patches.combine import bounded
from homeedit.patches.file import Patch, load_delta, load_keys, read_patch, slug, write_patch
from homeedit.patches.store import (
    clear_partial_patches,
    damaged_patches,
    delete_patch,
    find_patch,
    list_patches,
    store_patch,
)
from tests.builds.helpers import CREATED, fact, random_delta, random_patch

EDITED = "base_model.model.model.layers.{}.mlp.down_proj.lora_{}.weight"


def write(base: BaseModel, edits: Path, **changes: object) -> Patch:
    arguments: dict[str, object] = {
        "delta": random_delta(base),
        "keys": {layer: np.ones((2, base.d_ff), np.float16) for layer in base.edited_layers},
        "facts": [fact(1), fact(2)],
        "base_name": base.name,
        "fingerprint": base.fingerprint,
        "parents": ["p01234567"],
        "recipe": {"method": "joint", "layers": base.edited_layers},
        "seed": 7,
        "created": CREATED,
    }
    return write_patch(edits, **{**arguments, **changes})  # type: ignore[arg-type]


def test_holds_what_the_design_says_and_safetensors_reads_it(tiny_base: BaseModel, tmp_path: Path) -> None:
    patch = write(tiny_base, tmp_path)
    with safe_open(patch.file, framework="np") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert set(metadata) == set("format version facts base fingerprint parents recipe seed created homeedit".split())
    assert metadata["format"] == "homeedit.patch"
    assert [item["sentence"] for item in json.loads(metadata["facts"])] == [f.sentence for f in patch.facts]
    assert json.loads(metadata["parents"]) == ["p01234567"]
    assert json.loads(metadata["recipe"])["layers"] == [0, 1]
    assert set(tensors) == {EDITED.format(layer, factor) for layer in (0, 1) for factor in "AB"} | {"keys.0", "keys.1"}
    assert {array.dtype.name for array in tensors.values()} == {"float16"}
    assert tensors[EDITED.format(1, "A")].shape == (3, tiny_base.d_ff)
    assert tensors[EDITED.format(1, "B")].shape == (tiny_base.d_model, 3)
    assert np.array_equal(tensors[EDITED.format(0, "A")], random_delta(tiny_base)[0].A)


def test_reads_back_as_written(tiny_base: BaseModel, tmp_path: Path) -> None:
    patch = write(tiny_base, tmp_path)
    assert re.fullmatch(r"p[0-9a-f]{8}", patch.id)
    assert patch.file.name == f"{patch.id}-the-spare-key-1.safetensors"
    assert patch.facts == (fact(1), fact(2))
    assert (patch.base, patch.fingerprint) == (tiny_base.name, tiny_base.fingerprint)
    assert (patch.parents, patch.seed, patch.created) == (("p01234567",), 7, CREATED)
    assert (patch.rank, patch.layers) == (3, (0, 1))
    assert patch.bytes == patch.file.stat().st_size
    wanted, found = random_delta(tiny_base), load_delta(patch)
    for layer in wanted:
        assert np.array_equal(found[layer].A, wanted[layer].A)
        assert np.array_equal(found[layer].B, wanted[layer].B)
    keys = load_keys(patch)
    assert set(keys) == {0, 1}
    assert keys[1].shape == (2, tiny_base.d_ff)


def test_the_same_inputs_give_the_same_bytes(tiny_base: BaseModel, tmp_path: Path) -> None:
    one, other = write(tiny_base, tmp_path / "a"), write(tiny_base, tmp_path / "b")
    assert one.file.read_bytes() == other.file.read_bytes()
    later = write(tiny_base, tmp_path / "c", created="2026-06-01T00:00:00+00:00")
    assert later.id == one.id
    assert later.file.read_bytes() != one.file.read_bytes()


def test_the_id_is_of_tensors_and_what_the_facts_say(tiny_base: BaseModel, tmp_path: Path) -> None:
    one = write(tiny_base, tmp_path)
    assert write(tiny_base, tmp_path, delta=random_delta(tiny_base, seed=1)).id != one.id
    assert write(tiny_base, tmp_path, facts=[fact(1), fact(2, target="in the hall")]).id != one.id
    assert write(tiny_base, tmp_path, facts=[fact(1, id="f71"), fact(2, id="f72")]).id == one.id


def test_what_float16_cannot_hold_is_not_written(tiny_base: BaseModel, tmp_path: Path) -> None:
    for bad in (1e6, np.nan):
        delta = random_delta(tiny_base)
        broken = delta[0].A.astype(np.float32)
        broken[0, 0] = bad
        with pytest.raises(HomeEditError, match="float16"):
            write(tiny_base, tmp_path, delta={0: LowRank(A=broken, B=delta[0].B)})
    with pytest.raises(HomeEditError, match="shapes"):
        write(tiny_base, tmp_path, delta={0: LowRank(A=delta[0].A, B=delta[0].B[:, :2])})
    with pytest.raises(HomeEditError, match="at least one fact"):
        write(tiny_base, tmp_path, facts=[])
    assert list(tmp_path.iterdir()) == []


def test_more_rank_than_a_matrix_can_have_is_multiplied_out(tiny_base: BaseModel, tmp_path: Path) -> None:
    delta = random_delta(tiny_base, rank=tiny_base.d_model + 9)
    patch = write(tiny_base, tmp_path, delta=delta)
    assert patch.rank == tiny_base.d_model
    found = load_delta(patch)[1]
    wanted = delta[1].B.astype(np.float64) @ delta[1].A.astype(np.float64)
    assert np.abs(found.B.astype(np.float64) @ found.A - wanted).max() < 1e-3 * np.abs(wanted).max()
    wide = {0: LowRank(A=delta[0].A.T[:, :5], B=delta[0].B.T[:9].repeat(30, axis=1)[:, : delta[0].A.shape[1]])}
    assert bounded(wide)[0].rank == 5
    product = wide[0].B.astype(np.float32) @ wide[0].A.astype(np.float32)
    assert np.allclose(bounded(wide)[0].B.astype(np.float32) @ bounded(wide)[0].A, product, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("subject", "wanted"),
    [
        ("The Spare Key", "the-spare-key"),
        ("Oma's phone", "omas-phone"),
        ("../../etc/passwd", "etc-passwd"),
        ("Zoë & Chloé", "zoe-chloe"),
        ("日本語", "fact"),
        ("x" * 100, "x" * 40),
        ("a" * 39 + " b", "a" * 39),
        ("[bold]%s{0}", "bold-s-0"),
    ],
)
def test_slugs_are_safe_file_names(subject: str, wanted: str) -> None:
    assert slug(subject) == wanted


def test_a_failed_write_leaves_the_folder_as_it_was(
    tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = write(tiny_base, tmp_path).file.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(HomeEditError, match="No space left"):
        write(tiny_base, tmp_path, created="2026-06-01T00:00:00+00:00")
    files = list(tmp_path.iterdir())
    assert len(files) == 1 and files[0].read_bytes() == before


def test_listing_is_by_time_and_names_damage_apart(tiny_base: BaseModel, tmp_path: Path) -> None:
    later = random_patch(tiny_base, tmp_path, number=1, created="2026-05-03T00:00:00+00:00")
    earlier = random_patch(tiny_base, tmp_path, number=2, created="2026-05-02T00:00:00+00:00")
    broken = random_patch(tiny_base, tmp_path, number=3)
    broken.file.write_bytes(broken.file.read_bytes()[:-10])
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / ".p12345678-x.safetensors.77.partial").write_text("half")
    assert [patch.id for patch in list_patches(tmp_path)] == [earlier.id, later.id]
    [(file, why)] = damaged_patches(tmp_path)
    assert file == broken.file and "truncated" in why
    assert find_patch(tmp_path, later.id) == later
    with pytest.raises(HomeEditError, match="truncated"):
        find_patch(tmp_path, broken.id)
    for identity in ("p00000000", "*", "../x", ""):
        with pytest.raises(HomeEditError, match="no patch"):
            find_patch(tmp_path, identity)
        with pytest.raises(HomeEditError, match="no patch"):
            delete_patch(tmp_path, identity)
    delete_patch(tmp_path, broken.id)
    assert damaged_patches(tmp_path) == []
    clear_partial_patches(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(
        ["README.md", earlier.file.name, later.file.name]
    )
    assert list_patches(tmp_path / "not-there") == []


def test_storing_gives_the_facts_this_homes_ids(tiny_base: BaseModel, tmp_path: Path) -> None:
    patch = write(tiny_base, tmp_path / "from")
    elsewhere = tmp_path / "download (1).safetensors"
    elsewhere.write_bytes(patch.file.read_bytes())
    foreign = read_patch(elsewhere)
    assert foreign.id == patch.id
    stored = store_patch(foreign, tmp_path / "edits", ["f90", "f91"])
    assert stored.file.parent == tmp_path / "edits"
    assert stored.id == patch.id
    assert [item.id for item in stored.facts] == ["f90", "f91"]
    assert replace(stored, file=patch.file, facts=patch.facts, bytes=patch.bytes) == patch
    assert np.array_equal(load_delta(stored)[0].A, load_delta(patch)[0].A)
    with pytest.raises(HomeEditError, match="2 facts"):
        store_patch(foreign, tmp_path / "edits", ["f1"])
