"""Bringing a base model into a home: its fp16 copy, its GGUF, its fingerprint.

All is written into ``models/<name>.partial`` and renamed as a whole: a base model is there completely or not
at all, and what a killed run left is cleared by the next one.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from homeedit.base.fingerprint import fingerprint_of, tokenizer_metadata
from homeedit.base.gguf_file import Replacement, write_copy
from homeedit.base.sources import Source, open_source
from homeedit.base.store import PARTIAL, BaseModel, manifest_of, open_base, sha256_of
from homeedit.base.tokenizer import (
    chat_template,
    check_tokenizer,
    copy_tokenizer,
    write_tokenizer,
)
from homeedit.base.weights import HalfArray, write_safetensors
from homeedit.errors import HomeEditError
from homeedit.progress import Progress

_AGREEMENT = 0.9
"""Least cosine between the two copies of an edited weight: below it they are of different models. Of the
same weights, Q4_0 has 0.99 and Q2_K 0.94 (measured on heavy-tailed random weights)."""


def add_base(
    models: Path,
    source: str,
    *,
    name: str | None,
    choose_layers: Callable[[int], tuple[int, ...]],
    threads: int,
    progress: Progress,
) -> BaseModel:
    """Bring a base model: ``source`` is "smollm2-135m" (embedded), FILE.gguf or a Hugging Face folder.

    ``choose_layers`` gets the number of layers and returns those whose ``down_proj`` will be edited. The
    caller holds the home's lock. Memory: about three times the largest tensor in float32, for each of
    ``threads``; disk: 2 bytes per parameter and the GGUF.

    Raises:
        HomeEditError: the source is missing, damaged or not supported, the name is taken, the disk is full.
            Nothing is left behind then.
        Cancelled: ``progress`` was cancelled.
    """
    progress.stage("reading the model")
    opened = open_source(source, name)
    folder, partial = models / opened.name, models / f"{opened.name}{PARTIAL}"
    if folder.exists():
        raise HomeEditError(
            f"There is a base model called {opened.name!r} already.",
            f"Give another name, or remove that one first: homeedit model remove {opened.name}",
        )
    with _writing(models, partial):
        _check_space(opened, models)
        (partial / "fp16").mkdir(parents=True)
        base = _make(opened, partial, choose_layers, threads, progress)
        progress.check()
        os.replace(partial, folder)
        _sync_folder(models)
    progress.finish()
    return open_base(models, base.name)


@contextmanager
def _writing(models: Path, partial: Path) -> Iterator[None]:
    """Clear what killed runs left, remove ``partial`` on failure, and put failures of the disk in words."""
    try:
        models.mkdir(parents=True, exist_ok=True)
        for leftover in models.glob(f"*{PARTIAL}"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise HomeEditError(
                f"The disk is full: the base model could not be written to {models}.",
                "Nothing was left behind. Free some space and run the command again.",
            ) from error
        raise HomeEditError(f"The base model could not be brought: {error}.", "Nothing was left behind.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut, on systems that can open a folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_space(opened: Source, models: Path) -> None:
    needed = 2 * _parameters(opened) + 2 * opened.gguf.path.stat().st_size
    free = shutil.disk_usage(models).free
    if free < needed:
        raise HomeEditError(
            f"The base model needs {needed / 1e9:.1f} GB in {models}; the disk has {free / 1e9:.1f} GB free.",
            "Free some space, or use a home on another disk (--home).",
        )


def _parameters(opened: Source) -> int:
    shapes = opened.architecture.shapes(opened.config).values()
    return sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes)


def _make(
    opened: Source,
    partial: Path,
    choose_layers: Callable[[int], tuple[int, ...]],
    threads: int,
    progress: Progress,
) -> BaseModel:
    fp16 = partial / "fp16"
    template = chat_template(opened.gguf)
    progress.stage("making the tokenizer")
    if opened.folder is None:
        write_tokenizer(opened.gguf, fp16)
    else:
        copy_tokenizer(opened.folder, fp16, template)
    check_tokenizer(opened.gguf.path, fp16)
    _write_json(fp16 / "config.json", opened.config)
    ends = {key: opened.config.get(key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    _write_json(fp16 / "generation_config.json", {"do_sample": False, **ends})
    layers = int(opened.config["num_hidden_layers"])
    edited_layers = choose_layers(layers)
    shapes = opened.architecture.shapes(opened.config)
    progress.stage("writing the fp16 copy", len(shapes))
    write_safetensors(
        fp16 / "model.safetensors", shapes, opened.weights.read, threads=threads, on_tensor=progress.advance
    )
    _write_gguf(opened, partial / "base.gguf", edited_layers, progress)
    progress.stage("recording checksums")
    files = {
        path.relative_to(partial).as_posix(): {"bytes": path.stat().st_size, "sha256": _settled(path)}
        for path in sorted(partial.rglob("*"))
        if path.is_file()
    }
    weights_digest = str(files["fp16/model.safetensors"]["sha256"])
    base = BaseModel(
        name=opened.name,
        folder=partial,
        architecture=opened.architecture.name,
        parameters=_parameters(opened),
        fingerprint=fingerprint_of(opened.config, tokenizer_metadata(opened.gguf.metadata), weights_digest),
        layers=layers,
        d_model=int(opened.config["hidden_size"]),
        d_ff=int(opened.config["intermediate_size"]),
        edited_layers=edited_layers,
        source=opened.described,
    )
    _write_json(base.manifest, manifest_of(base, files))
    _settled(base.manifest)
    return base


def _settled(path: Path) -> str:
    """The sha256 of a file that is now certain to be on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return sha256_of(path)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_gguf(opened: Source, path: Path, edited_layers: tuple[int, ...], progress: Progress) -> None:
    """Copy the GGUF with the edited layers' ``ffn_down`` at Q8_0, quantized from the fp16 copy's values."""
    import gguf

    def replacement(layer: int) -> Replacement:
        def make() -> bytes:
            # Read again rather than kept from writing the copy: all edited layers together are too much.
            weight = opened.weights.read(opened.architecture.down_proj_weight(layer))
            if opened.folder is not None:
                _check_agreement(opened, opened.architecture.gguf_down_proj(layer), weight)
            return quantize_q8_0(weight)

        return int(gguf.GGMLQuantizationType.Q8_0), make

    progress.stage("writing the base GGUF", len(opened.gguf.tensors))
    replacements = {opened.architecture.gguf_down_proj(layer): replacement(layer) for layer in edited_layers}
    write_copy(opened.gguf, path, replacements, progress.advance)


def quantize_q8_0(weight: HalfArray) -> bytes:
    """A weight [rows, columns] as Q8_0; the same bytes as ``ggml_quantize_chunk`` makes of it in float32."""
    import gguf

    return bytes(gguf.quants.quantize(weight.astype(np.float32), gguf.GGMLQuantizationType.Q8_0).tobytes())


def _check_agreement(opened: Source, name: str, weight: HalfArray) -> None:
    ours = weight.astype(np.float32).ravel()
    theirs = opened.gguf.dequantized(name).ravel()
    scale = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    if scale == 0 or float(ours @ theirs) / scale < _AGREEMENT:
        raise HomeEditError(
            f"The safetensors and {opened.gguf.path.name} hold different weights (first seen in {name}).",
            "Put the GGUF made from these very safetensors into the folder.",
        )
