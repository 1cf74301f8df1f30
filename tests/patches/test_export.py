"""Exports work where they are meant to: here again, in PEFT, and in llama.cpp."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homeedit.base.store import BaseModel
from homeedit.builds.build import make_build
from homeedit.builds.link import link
from homeedit.errors import USAGE, HomeEditError
from homeedit.patches.check import check_patch
from homeedit.patches.export import export_gguf_lora, export_homeedit, export_peft
from homeedit.patches.file import Patch, load_delta, load_keys
from homeedit.progress import Progress
from homeedit.runtime.llama import Runtime
from tests.builds.helpers import CREATED, own_copy, random_patch


@pytest.fixture
def patches(tiny_base: BaseModel, tmp_path: Path) -> list[Patch]:
    """Two patches of different rank; the second changes only layer 1."""
    edits = tmp_path / "edits"
    first = random_patch(tiny_base, edits, number=1, rank=3, created="2026-05-02T00:00:00+00:00")
    return [first, random_patch(tiny_base, edits, number=2, rank=2, layers=[1])]


def test_one_patch_is_copied(patches: list[Patch], tmp_path: Path) -> None:
    out = export_homeedit(patches[:1], tmp_path / "out" / "mine.safetensors")
    assert out.read_bytes() == patches[0].file.read_bytes()


def test_several_become_one_that_imports(tiny_base: BaseModel, patches: list[Patch], tmp_path: Path) -> None:
    out = export_homeedit(patches, tmp_path / "all.safetensors")
    combined = check_patch(
        out,
        fingerprint=tiny_base.fingerprint,
        edited_layers=tiny_base.edited_layers,
        d_model=tiny_base.d_model,
        d_ff=tiny_base.d_ff,
    )
    assert [fact.id for fact in combined.facts] == ["f2", "f1"]  # the older patch first
    assert combined.rank == 5
    assert combined.created == patches[0].created
    assert [item["patch"] for item in combined.recipe["combined"]] == [patches[1].id, patches[0].id]
    linked, found = link(patches), load_delta(combined)
    for layer, change in linked.items():
        assert np.array_equal(found[layer].A, change.A) and np.array_equal(found[layer].B, change.B)
    keys = load_keys(combined)
    assert (keys[0].shape[0], keys[1].shape[0]) == (2, 4)
    assert np.array_equal(keys[1][2:], load_keys(patches[0])[1])


def test_facts_with_one_id_from_two_homes_stay_apart(
    tiny_base: BaseModel, patches: list[Patch], tmp_path: Path
) -> None:
    from homeedit.patches.store import store_patch

    other = store_patch(patches[1], tmp_path / "other", ["f1"])
    out = export_homeedit([patches[0], other], tmp_path / "all.safetensors")
    ids = [
        fact.id
        for fact in check_patch(
            out, fingerprint=tiny_base.fingerprint, edited_layers=(0, 1), d_model=64, d_ff=256
        ).facts
    ]
    assert len(set(ids)) == 2


def test_peft_loads_it_and_changes_logits_like_the_merged_model(
    tiny_base: BaseModel, patches: list[Patch], tmp_path: Path
) -> None:
    import torch
    from peft import PeftModel

    from homeedit.base.load import load_model

    out = export_peft(patches, tiny_base, tmp_path / "adapter")
    tokens = torch.arange(5, 25)[None]
    with torch.no_grad():
        plain = load_model(tiny_base, "cpu", torch.float32)(tokens).logits
        merged = load_model(tiny_base, "cpu", torch.float32)
        for layer, change in link(patches).items():
            product = change.B.astype(np.float32) @ change.A.astype(np.float32)
            merged.model.layers[layer].mlp.down_proj.weight += torch.from_numpy(product)
        wanted = merged(tokens).logits
        adapted = PeftModel.from_pretrained(load_model(tiny_base, "cpu", torch.float32), str(out))
        found = adapted(tokens).logits
    assert (wanted - plain).abs().max() > 0.5
    assert torch.allclose(found, wanted, atol=1e-3)
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["layers_to_transform"]) == (5, 5, [0, 1])


def largest_difference(one: Runtime, other: Runtime) -> float:
    prompt = one.chat_tokens("Where is the spare key?")
    return float(np.abs(one.answer_logprobs(prompt, [5, 6, 7]) - other.answer_logprobs(prompt, [5, 6, 7])).max())


def test_llama_cpp_loads_it_and_answers_like_the_build(
    tiny_base: BaseModel, patches: list[Patch], tmp_path: Path
) -> None:
    base = own_copy(tiny_base, tmp_path / "model")
    built = make_build(base, patches, number=1, created=CREATED, threads=1, progress=Progress())
    adapter = export_gguf_lora(patches, base, tmp_path / "adapter.gguf")
    with (
        Runtime(base.gguf, threads=1) as plain,
        Runtime(base.gguf, threads=1, adapter=adapter) as adapted,
        Runtime(built.gguf, threads=1) as build,
    ):
        changed, apart = largest_difference(plain, build), largest_difference(adapted, build)
    # The build's weights are rounded to Q8_0 with the change in them, the adapter's change is not.
    assert changed > 0.5
    assert apart < 0.1 * changed


def test_adapters_are_the_same_bytes_each_time(tiny_base: BaseModel, patches: list[Patch], tmp_path: Path) -> None:
    one = export_gguf_lora(patches, tiny_base, tmp_path / "one.gguf")
    other = export_gguf_lora(patches[::-1], tiny_base, tmp_path / "other.gguf")
    assert one.read_bytes() == other.read_bytes()
    one = export_peft(patches, tiny_base, tmp_path / "one") / "adapter_model.safetensors"
    other = export_peft(patches[::-1], tiny_base, tmp_path / "other") / "adapter_model.safetensors"
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("kind", ["homeedit", "peft", "gguf-lora"])
def test_nothing_is_overwritten_unasked(kind: str, tiny_base: BaseModel, patches: list[Patch], tmp_path: Path) -> None:
    def export(force: bool) -> Path:
        if kind == "homeedit":
            return export_homeedit(patches, tmp_path / "out", force=force)
        if kind == "peft":
            return export_peft(patches, tiny_base, tmp_path / "out", force=force)
        return export_gguf_lora(patches, tiny_base, tmp_path / "out", force=force)

    out = export(force=False)
    with pytest.raises(HomeEditError, match="already there") as caught:
        export(force=False)
    assert caught.value.exit_code == USAGE
    assert export(force=True) == out
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["edits", "out"]


@pytest.mark.parametrize("kind", ["homeedit", "gguf-lora"])
def test_a_folder_in_the_way_is_left(kind: str, tiny_base: BaseModel, patches: list[Patch], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(HomeEditError, match="could not be written"):
        if kind == "homeedit":
            export_homeedit(patches, tmp_path / "out", force=True)
        else:
            export_gguf_lora(patches, tiny_base, tmp_path / "out", force=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_of_other_things_is_never_replaced(tiny_base: BaseModel, patches: list[Patch], tmp_path: Path) -> None:
    precious = tmp_path / "photos"
    precious.mkdir()
    (precious / "cat.jpg").write_text("cat")
    with pytest.raises(HomeEditError, match="not a PEFT adapter"):
        export_peft(patches, tiny_base, precious, force=True)
    assert (precious / "cat.jpg").read_text() == "cat"


def test_nothing_or_mixed_bases_cannot_be_exported(patches: list[Patch], tmp_path: Path) -> None:
    with pytest.raises(HomeEditError, match="No patch was named"):
        export_homeedit([], tmp_path / "out")
    with pytest.raises(HomeEditError, match="different base models"):
        export_homeedit([patches[0], replace(patches[1], fingerprint="f" * 64)], tmp_path / "out")
    assert not (tmp_path / "out").exists()
