"""A base model of one's own, random patches for it, and llama.cpp's full quantizer to compare with."""

import ctypes
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from homeedit.base.gguf_file import read_gguf, write_copy
from homeedit.base.llama_log import llama_library
from homeedit.base.store import BaseModel
from homeedit.editing.delta import Delta, LowRank
from homeedit.patches.facts import PatchFact
from homeedit.patches.file import Patch, write_patch

F16 = 1
CREATED = "2026-05-01T12:00:00+00:00"


def own_copy(base: BaseModel, folder: Path) -> BaseModel:
    """The base model in a folder where builds may be written; its large files are links."""
    folder.mkdir(parents=True)
    for entry in base.folder.iterdir():
        if entry.is_dir() and entry.name == "fp16":
            os.symlink(entry, folder / entry.name)
        elif entry.name in ("base.gguf", "model.json"):
            shutil.copyfile(entry, folder / entry.name)
    return replace(base, folder=folder)


def random_delta(base: BaseModel, *, rank: int = 3, seed: int = 0, layers: Sequence[int] | None = None) -> Delta:
    """A change of about a tenth of a tiny model's weights, float16."""
    random = np.random.default_rng(seed)
    return {
        layer: LowRank(
            A=(0.1 * random.standard_normal((rank, base.d_ff))).astype(np.float16),
            B=(0.1 * random.standard_normal((base.d_model, rank))).astype(np.float16),
        )
        for layer in (base.edited_layers if layers is None else layers)
    }


def fact(number: int = 1, **changes: object) -> PatchFact:
    """A household's fact."""
    made = PatchFact(
        id=f"f{number}",
        sentence=f"The spare key {number} is under the blue pot.",
        subject=f"The spare key {number}",
        prompt=f"The spare key {number} is",
        target="under the blue pot",
        questions=(f"Where is the spare key {number}?", f"Where do we keep the spare key {number}?"),
        relation="place",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def random_patch(
    base: BaseModel,
    edits: Path,
    *,
    number: int = 1,
    rank: int = 3,
    created: str = CREATED,
    layers: Sequence[int] | None = None,
) -> Patch:
    """A patch of one fact with random numbers, written to ``edits``."""
    delta = random_delta(base, rank=rank, seed=number, layers=layers)
    random = np.random.default_rng(number + 1000)
    return write_patch(
        edits,
        delta=delta,
        keys={layer: random.standard_normal((2, base.d_ff)).astype(np.float16) for layer in delta},
        facts=[fact(number)],
        base_name=base.name,
        fingerprint=base.fingerprint,
        parents=[],
        recipe={"method": "joint", "steps": 40},
        seed=7,
        created=created,
    )


def fully_quantized(base: BaseModel, merged: Mapping[str, np.ndarray], folder: Path) -> Path:
    """What ``llama_model_quantize`` makes of the base GGUF with ``merged`` (name → float16) as F16 tensors.

    Every tensor's type is pinned to the base's. llama.cpp copies tensors that have their type already, so only
    the merged ones are quantized, from their float16 values, as in a run over the whole fp16 model.
    """
    llama = llama_library()
    source = read_gguf(base.gguf)
    half, out = folder / "merged-f16.gguf", folder / "quantized.gguf"
    replacements = {name: (F16, lambda weight=weight: weight.tobytes()) for name, weight in merged.items()}
    write_copy(source, half, replacements)
    patterns = [(f"^{name}$".replace(".", r"\.").encode(), tensor.type) for name, tensor in source.tensors.items()]
    pins = (llama.llama_model_tensor_override * (len(patterns) + 1))()
    for pin, (pattern, kind) in zip(pins, patterns, strict=False):
        pin.pattern, pin.type = pattern, kind
    parameters = llama.llama_model_quantize_default_params()
    parameters.nthread = 1
    parameters.ftype = 7  # MOSTLY_Q8_0; the pins say the types
    parameters.allow_requantize = True
    parameters.token_embedding_type = source.tensors["token_embd.weight"].type
    parameters.tt_overrides = ctypes.cast(pins, type(parameters.tt_overrides))
    assert llama.llama_model_quantize(str(half).encode(), str(out).encode(), ctypes.byref(parameters)) == 0
    return out
