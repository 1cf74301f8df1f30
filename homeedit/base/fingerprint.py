"""The fingerprint of a base model: which weights, config and tokenizer a patch was made for.

sha256, in hexadecimal, over three lines of ASCII text::

    homeedit.base 1
    config <sha256 of the config as canonical JSON, without the fields in VOLATILE>
    tokenizer <sha256 of the GGUF's tokenizer metadata as canonical JSON>
    weights <sha256 of the fp16 copy's model.safetensors>

Canonical JSON has sorted keys, no spaces and only ASCII. Dates, paths, the GGUF's quantization and library
versions do not enter: the same model brought on another machine has the same fingerprint.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

VOLATILE = frozenset({"transformers_version", "_name_or_path", "torch_dtype", "dtype", "use_cache"})
"""Fields of config.json that do not change what the model computes."""


def fingerprint_of(config: Mapping[str, Any], tokenizer: Mapping[str, Any], weights_sha256: str) -> str:
    """The fingerprint, 64 hexadecimal digits.

    ``config`` is config.json, ``tokenizer`` the GGUF metadata behind ``tokenizer.``, ``weights_sha256`` the
    digest of the fp16 copy's file.
    """
    stable = {key: value for key, value in config.items() if key not in VOLATILE}
    lines = (
        "homeedit.base 1",
        f"config {_digest(stable)}",
        f"tokenizer {_digest(tokenizer)}",
        f"weights {weights_sha256}",
    )
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode("ascii")).hexdigest()


def tokenizer_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a GGUF file's metadata that defines the tokenizer, chat template included."""
    return {key: value for key, value in metadata.items() if key.startswith("tokenizer.")}


def _digest(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
