"""What a model needs of memory and disk, by one formula, before anything is downloaded or loaded.

Compiling holds the weights once, in the dtype that the device computes in; for each edited layer the second moment
of preserved keys or a root of it (d_ff², float32), for one of them at a time the float64 work on it, and for each
edited layer its change, momentum and gradients; and what a step's rows leave for the way back, and their logits.
Serving holds the GGUF, the keys and values of the context in float16, and llama.cpp's buffers.

The constants are set so that the sum is on the safe side of what was measured (peak resident memory of a process of
its own, bfloat16 on a CPU, 12 facts): a random model of 7.3 million parameters 0.71 GB (the formula: 0.79),
SmolLM2-135M 1.69 GB (1.99); serving SmolLM2-135M at Q8_0 0.30 GB (0.56). Larger models were not measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeedit.base.quantizing import QUANTIZATIONS

COMPILE_FIXED = 0.7e9
"""Bytes of Python, torch, transformers and llama.cpp before any model."""
COMPILE_MOMENT_COPIES = 1.0
"""float32 matrices [d_ff, d_ff] that every edited layer keeps."""
COMPILE_WORK_COPIES = 3.0
"""float64 matrices [d_ff, d_ff] at work on one layer at a time."""
COMPILE_CHANGE_COPIES = 7.0
"""float32 matrices [d_model, d_ff] that every edited layer keeps: change, gradient, momentum, factors, what it stands
on, and a step's keys."""
COMPILE_TOKENS = 1000
"""Tokens of a step whose logits (float32) and layers' states (two bytes) are held at a time."""
SERVE_FIXED = 0.25e9
"""Bytes of Python and the server before any model."""
SERVE_BUFFER_TOKENS = 512
"""Tokens that llama.cpp reads at a time: their logits are its largest buffer."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes that memory depends on. ``keys`` is the width of one layer's attention keys (heads times d_head)."""

    parameters: int
    layers: int
    d_model: int
    d_ff: int
    vocabulary: int
    keys: int


def sizes_of(config: Mapping[str, Any], parameters: int) -> Sizes:
    """The sizes of a model with this config.json. Raises KeyError or TypeError when the config lacks a size."""
    heads = int(config["num_attention_heads"])
    head = config.get("head_dim") or int(config["hidden_size"]) // heads
    return Sizes(
        parameters=parameters,
        layers=int(config["num_hidden_layers"]),
        d_model=int(config["hidden_size"]),
        d_ff=int(config["intermediate_size"]),
        vocabulary=int(config["vocab_size"]),
        keys=int(config.get("num_key_value_heads") or heads) * int(head),
    )


def compile_bytes(sizes: Sizes, edited: int, *, weight_bytes: int = 2) -> int:
    """Memory to compile facts into ``edited`` layers; ``weight_bytes`` a parameter: 2 where the device computes in
    half precision, 4 elsewhere."""
    square, change = sizes.d_ff * sizes.d_ff, sizes.d_model * sizes.d_ff
    moments = 4 * COMPILE_MOMENT_COPIES * edited * square + 8 * COMPILE_WORK_COPIES * square
    changes = 4 * COMPILE_CHANGE_COPIES * edited * change
    states = 2 * COMPILE_TOKENS * sizes.layers * (3 * sizes.d_ff + 8 * sizes.d_model)
    logits = 4 * COMPILE_TOKENS * sizes.vocabulary
    return round(COMPILE_FIXED + weight_bytes * sizes.parameters + moments + changes + states + logits)


def gguf_bytes(sizes: Sizes, quantization: str) -> int:
    """Size of the GGUF in a quantization, by its usual bits a weight."""
    return round(sizes.parameters * QUANTIZATIONS[quantization].bits / 8)


def serve_bytes(sizes: Sizes, gguf: int, context: int) -> int:
    """Memory to serve a GGUF of so many bytes with a context of so many tokens."""
    cache = 2 * 2 * context * sizes.layers * sizes.keys
    buffers = 4 * SERVE_BUFFER_TOKENS * (sizes.vocabulary + 4 * sizes.d_ff)
    return round(SERVE_FIXED + gguf + cache + buffers)


def disk_bytes(sizes: Sizes, edited: int, quantization: str, *, converted: bool) -> int:
    """Disk in the home for one base model: the fp16 copy, the GGUF, the statistics (half of d_ff² float32 a layer);
    while it is made, the unquantized GGUF too where it is ``converted`` from safetensors."""
    weights = 2 * sizes.parameters
    statistics = 2 * edited * sizes.d_ff * sizes.d_ff
    return round(weights + gguf_bytes(sizes, quantization) + statistics + (weights if converted else 0))
