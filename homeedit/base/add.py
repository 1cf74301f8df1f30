"""Bringing a base model into a home: its fp16 copy, its GGUF, its fingerprint.

All is written into ``models/<name>.partial`` and renamed as a whole: a base model is there completely or not
at all, and what a killed run left is cleared by the next one.
"""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from homeedit.base.fingerprint import fingerprint_of, tokenizer_metadata
from homeedit.base.gguf_file import GgufFile, Replacement, read_gguf, tensor_size, write_copy
from homeedit.base.quantize import quantize_rows
from homeedit.base.quantizing import (
    QUANTIZATIONS,
    checked_edited_type,
    checked_quantization,
    default_quantization,
    quantize_model,
)
from homeedit.base.shape import Shape
from homeedit.base.sources import Source, loss_of, open_source, with_gguf
from homeedit.base.store import (
    AS_IT_CAME,
    PARTIAL,
    BaseModel,
    Origin,
    manifest_of,
    open_base,
    sha256_of,
)
from homeedit.base.tokenizer import (
    can_write_tokenizer,
    chat_template,
    check_same_tokens,
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


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person may choose of a base model; None leaves it to what suits the source.

    ``quantization`` is a name in ``QUANTIZATIONS``, ``edited_type`` one of ``EDITED_TYPES``; ``origin`` and
    ``described`` say where it was downloaded from.
    """

    quantization: str | None = None
    edited_type: str | None = None
    origin: Origin | None = None
    described: str | None = None


def add_base(
    models: Path,
    source: str,
    *,
    name: str | None,
    choose_layers: Callable[[Shape], tuple[int, ...]],
    threads: int,
    progress: Progress,
    choices: Choices | None = None,
) -> BaseModel:
    """Bring a base model: ``source`` is "smollm2-135m" (embedded), FILE.gguf or a Hugging Face folder.

    ``choose_layers`` gets the model's shape and returns those whose ``down_proj`` will be edited. The
    caller holds the home's lock. Memory: about three times the largest tensor in float32, for each of
    ``threads``; disk: 2 bytes per parameter and the GGUF, while it is quantized twice.

    Raises:
        HomeEditError: the source is missing, damaged or not supported, the name is taken, the disk is full.
            Nothing is left behind then.
        Cancelled: ``progress`` was cancelled.
    """
    choices = choices or Choices()
    checked_edited_type(choices.edited_type, checked_quantization(choices.quantization))
    progress.stage("reading the model")
    opened = open_source(source, name)
    folder, partial = models / opened.name, models / f"{opened.name}{PARTIAL}"
    if folder.exists():
        raise HomeEditError(
            f"There is a base model called {opened.name!r} already.",
            f"Give another name, or remove that one first: homeedit model remove {opened.name}",
        )
    with _writing(models, partial):
        _check_space(opened, models, _quantization(opened, choices))
        (partial / "fp16").mkdir(parents=True)
        base = _make(opened, partial, choose_layers, threads, progress, choices)
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


def _check_space(opened: Source, models: Path, quantization: str | None) -> None:
    """Room for the fp16 copy and, while it is quantized twice, two GGUF files."""
    gguf = 2 * _parameters(opened) if opened.header is None else opened.gguf.path.stat().st_size
    if quantization is not None:
        gguf = max(gguf, round(_parameters(opened) * QUANTIZATIONS[quantization].bits / 8))
    needed = 2 * _parameters(opened) + 2 * gguf
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
    choose_layers: Callable[[Shape], tuple[int, ...]],
    threads: int,
    progress: Progress,
    choices: Choices,
) -> BaseModel:
    fp16 = partial / "fp16"
    opened = with_gguf(opened, partial / "converted.gguf", progress)
    _make_tokenizer(opened, fp16, progress)
    _write_json(fp16 / "config.json", opened.config)
    ends = {key: opened.config.get(key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    _write_json(fp16 / "generation_config.json", {"do_sample": False, **ends})
    layers = int(opened.config["num_hidden_layers"])
    shape = Shape(
        opened.architecture.name, layers, int(opened.config["hidden_size"]), int(opened.config["intermediate_size"])
    )
    edited_layers = choose_layers(shape)
    shapes = opened.architecture.shapes(opened.config)
    if loss := loss_of(opened):
        progress.say(loss)
    progress.stage("writing the fp16 copy", len(shapes))
    write_safetensors(
        fp16 / "model.safetensors", shapes, opened.weights.read, threads=threads, on_tensor=progress.advance
    )
    quantization = _quantization(opened, choices)
    edited_type = checked_edited_type(choices.edited_type, quantization)
    _write_gguf(opened, partial / "base.gguf", edited_layers, quantization, edited_type, threads, progress)
    if opened.converted:
        opened.gguf.path.unlink()
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
        source=choices.described or opened.described,
        quantization=quantization or as_it_came(opened.gguf),
        edited_type=edited_type,
        origin=choices.origin,
    )
    _write_json(base.manifest, manifest_of(base, files))
    _settled(base.manifest)
    return base


def _make_tokenizer(opened: Source, folder: Path, progress: Progress) -> None:
    """Write the fp16 copy's tokenizer: what llama.cpp does, or, if that cannot be written, the model's own."""
    progress.stage("making the tokenizer")
    template = chat_template(opened.gguf)
    if opened.folder is None or can_write_tokenizer(opened.gguf):
        write_tokenizer(opened.gguf, folder)
    else:
        copy_tokenizer(opened.folder, folder, template)
    check_tokenizer(opened.gguf.path, folder)
    if opened.folder is not None:
        check_same_tokens(opened.folder / "tokenizer.json", folder / "tokenizer.json")


def _settled(path: Path) -> str:
    """The sha256 of a file that is now certain to be on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return sha256_of(path)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _quantization(opened: Source, choices: Choices) -> str | None:
    """What the GGUF is to be quantized to; None takes it as it came, which is what a GGUF source is made for.

    The embedded one comes as Q4_1, which llama.cpp multiplies one token at a time. At Q8_0 it reads twice as quickly,
    speaks as quickly, and is 43 MB larger (231 and 470 tokens a second of a prompt, 144 and 147 of an answer, one core
    of an EPYC with AVX-512).
    """
    if choices.quantization is None and (opened.converted or opened.embedded):
        return default_quantization(_parameters(opened))
    return checked_quantization(choices.quantization)


def as_it_came(gguf: GgufFile) -> str:
    """How a GGUF that is not quantized anew is described: "Q4_1, as it came"."""
    found = _mixture(gguf)
    return AS_IT_CAME if found is None else f"{found}, {AS_IT_CAME}"


def _mixture(gguf: GgufFile) -> str | None:
    """The mixture of types that a GGUF file says it has."""
    import gguf as package

    try:
        return str(package.LlamaFileType(gguf.metadata.get("general.file_type")).name).removeprefix("MOSTLY_")
    except ValueError:
        return None


def _write_gguf(
    opened: Source,
    path: Path,
    edited_layers: tuple[int, ...],
    quantization: str | None,
    edited_type: str,
    threads: int,
    progress: Progress,
) -> None:
    """Write the base GGUF: all of it in the quantization given, if any; then the edited layers' ``ffn_down`` in
    their own type, from the fp16 copy's values, so that a build of no patch has the same bytes."""
    import gguf

    kind = int(gguf.GGMLQuantizationType[edited_type])
    names = {opened.architecture.gguf_down_proj(layer): layer for layer in edited_layers}
    for name in names:
        _check_type(opened, name, kind, edited_type)

    def replacement(name: str, layer: int) -> Replacement:
        def make() -> bytes:
            # Read again rather than kept from writing the copy: all edited layers together are too much.
            weight = opened.weights.read(opened.architecture.down_proj_weight(layer))
            if opened.folder is not None:
                _check_agreement(opened, name, weight)
            return quantize_rows(weight.astype(np.float32), kind, threads)

        return kind, make

    source, quantized = opened.gguf, path.with_name("quantized.gguf")
    if quantization is not None and quantization != _mixture(opened.gguf):
        progress.stage(f"quantizing to {quantization}", len(opened.gguf.tensors))
        started = time.perf_counter()
        quantize_model(opened.gguf.path, quantized, quantization, threads=threads, progress=progress)
        seconds = time.perf_counter() - started
        others = "" if quantization == edited_type else f"; edited layers are kept at {edited_type}"
        progress.say(f"Quantized to {quantization} in {seconds:.0f} s{others}.")
        source = read_gguf(quantized)
    progress.stage("writing the base GGUF", len(source.tensors))
    write_copy(source, path, {name: replacement(name, layer) for name, layer in names.items()}, progress.advance)
    quantized.unlink(missing_ok=True)


def _check_type(opened: Source, name: str, kind: int, edited_type: str) -> None:
    """Raise HomeEditError when a tensor's rows cannot be stored in the type asked for."""
    shape = opened.gguf.tensors[name].shape
    try:
        tensor_size(shape, kind)
    except ValueError:
        raise HomeEditError(
            f"The edited layers cannot be kept at {edited_type}: their rows have {shape[-1]} values.",
            "Use --edited-quant Q8_0.",
        ) from None


def _check_agreement(opened: Source, name: str, weight: HalfArray) -> None:
    ours = weight.astype(np.float32).ravel()
    theirs = opened.gguf.dequantized(name).ravel()
    scale = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    if scale == 0 or float(ours @ theirs) / scale < _AGREEMENT:
        raise HomeEditError(
            f"The safetensors and {opened.gguf.path.name} hold different weights (first seen in {name}).",
            "Put the GGUF made from these very safetensors into the folder.",
        )
