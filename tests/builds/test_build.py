"""A build is a function of base and patches; the base is only read."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homeedit.base.store import BaseModel
from homeedit.builds.build import BuiltFiles, make_build
from homeedit.builds.history import finish, read_manifest
from homeedit.builds.link import link
from homeedit.errors import Cancelled, HomeEditError
from homeedit.patches.container import read_header
from homeedit.patches.file import Patch
from homeedit.progress import Progress
from homeedit.runtime.llama import Runtime
from tests.builds.helpers import CREATED, own_copy, random_patch


@pytest.fixture
def base(tiny_base: BaseModel, tmp_path: Path) -> BaseModel:
    return own_copy(tiny_base, tmp_path / "model")


def build(base: BaseModel, patches: list[Patch], number: int = 1) -> BuiltFiles:
    return make_build(base, patches, number=number, created=CREATED, threads=1, progress=Progress())


def all_bytes(base: BaseModel) -> str:
    digest = hashlib.sha256()
    for file in sorted(file for file in base.folder.rglob("*") if file.is_file() and "builds" not in file.parts):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def test_same_inputs_give_the_same_bytes_in_any_order(base: BaseModel, tmp_path: Path) -> None:
    patches = [random_patch(base, tmp_path / "edits", number=number) for number in (1, 2, 3)]
    before = all_bytes(base)
    one, other = build(base, patches, 1), build(base, patches[::-1], 2)
    assert one.sha256 == other.sha256 == hashlib.sha256(one.gguf.read_bytes()).hexdigest()
    assert one.gguf.read_bytes() == other.gguf.read_bytes() != base.gguf.read_bytes()
    assert one.delta.read_bytes() == other.delta.read_bytes()
    assert set(one.seconds) == {"link", "merge", "quantize"}
    assert all_bytes(base) == before


def test_no_patches_give_the_base_and_reverting_is_linking_without(base: BaseModel, tmp_path: Path) -> None:
    first, second = (random_patch(base, tmp_path / "edits", number=number) for number in (1, 2))
    alone = build(base, [first], 1).gguf.read_bytes()
    both = build(base, [first, second], 2).gguf.read_bytes()
    assert alone != both
    assert build(base, [first], 3).gguf.read_bytes() == alone
    assert build(base, [], 4).gguf.read_bytes() == base.gguf.read_bytes()


def test_a_patch_of_some_layers_changes_only_those(base: BaseModel, tmp_path: Path) -> None:
    built = build(base, [random_patch(base, tmp_path / "edits", layers=[1])])
    manifest = json.loads((built.folder / "manifest.json").read_text())
    assert manifest["edited"] == {"blk.1.ffn_down.weight": "Q8_0"}


def test_link_stacks_factors_by_time_then_id(base: BaseModel, tmp_path: Path) -> None:
    later = random_patch(base, tmp_path / "edits", number=1, created="2026-05-02T00:00:00+00:00")
    earlier = random_patch(base, tmp_path / "edits", number=2, rank=2, created="2026-05-01T00:00:00+00:00")
    delta, first, second = link([later, earlier, later]), link([earlier]), link([later])
    assert delta[0].rank == 5
    assert np.array_equal(delta[0].A[:2], first[0].A)
    assert np.array_equal(delta[0].B[:, 2:], second[0].B)
    assert link([]) == {}


def test_the_built_file_answers_unlike_the_base(base: BaseModel, tmp_path: Path) -> None:
    built = build(base, [random_patch(base, tmp_path / "edits", rank=8)])
    with Runtime(base.gguf, threads=1) as before, Runtime(built.gguf, threads=1) as after:
        prompt = before.chat_tokens("Where is the key?")
        difference = np.abs(before.answer_logprobs(prompt, [5]) - after.answer_logprobs(prompt, [5]))
    assert difference.max() > 0.05


def test_the_manifest_tells_the_story(base: BaseModel, tmp_path: Path) -> None:
    patch = random_patch(base, tmp_path / "edits")
    built = make_build(
        base, [patch], number=4, created=CREATED, threads=1, progress=Progress(), recipe={"method": "joint"}
    )
    manifest = read_manifest(finish(base, 4, {"recall": 0.5, "locality": {"kl": 0.01, "kept": 9, "asked": 10}}))
    assert manifest["number"] == 4
    assert manifest["created"] == CREATED
    assert (manifest["base"], manifest["fingerprint"]) == (base.name, base.fingerprint)
    assert manifest["patches"] == [patch.id]
    assert manifest["facts"] == [{"id": "f1", "sentence": patch.facts[0].sentence}]
    assert manifest["recipe"] == {"method": "joint"}
    assert manifest["edited"] == {"blk.0.ffn_down.weight": "Q8_0", "blk.1.ffn_down.weight": "Q8_0"}
    assert manifest["sha256"] == built.sha256
    assert manifest["bytes"] == base.gguf.stat().st_size
    assert set(manifest["versions"]) >= {"homeedit", "llama-cpp-python", "gguf"}
    assert (manifest["recall"], manifest["locality"]["kept"], manifest["forced"]) == (0.5, 9, False)


def test_the_delta_file_holds_the_link(base: BaseModel, tmp_path: Path) -> None:
    patches = [random_patch(base, tmp_path / "edits", number=number) for number in (1, 2)]
    header = read_header(build(base, patches).delta)
    assert header.metadata["format"] == "homeedit.delta"
    assert header.metadata["fingerprint"] == base.fingerprint
    assert set(header.metadata["patches"].split()) == {patch.id for patch in patches}
    assert header.tensors["base_model.model.model.layers.1.mlp.down_proj.lora_A.weight"].shape == (6, base.d_ff)


def test_patches_for_another_base_are_refused(base: BaseModel, tmp_path: Path) -> None:
    patch = random_patch(base, tmp_path / "edits")
    with pytest.raises(HomeEditError, match="another base model"):
        build(replace(base, fingerprint="0" * 64), [patch])
    with pytest.raises(HomeEditError, match="changes layer 1"):
        build(replace(base, edited_layers=(0,)), [patch])
    assert not base.builds.exists()


class CancelsAtMerge(Progress):
    def on_stage(self, name: str, total: int | None) -> None:
        if name.startswith("merge"):
            self.cancel()


def test_cancelled_work_leaves_no_partial(base: BaseModel, tmp_path: Path) -> None:
    patch = random_patch(base, tmp_path / "edits")
    with pytest.raises(Cancelled):
        make_build(base, [patch], number=1, created=CREATED, threads=1, progress=CancelsAtMerge())
    assert list(base.builds.iterdir()) == []
