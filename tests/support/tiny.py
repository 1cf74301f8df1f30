"""Random models of two layers, which every stage handles in a second.

They are real in all but their weights: the tokenizer is the embedded model's, cut to its first tokens, with
its chat template and special tokens; tensors are Q4_1, Q8_0, F16 and F32 as in a GGUF that people download.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VOCABULARY = 1024
HEADS, KEY_VALUE_HEADS = 4, 2


@cache
def _tokenizer_metadata() -> dict[str, Any]:
    from homeedit.base.gguf_file import read_gguf
    from homeedit.base.sources import embedded_file

    found = read_gguf(embedded_file()).metadata
    tokens = found["tokenizer.ggml.tokens"][:VOCABULARY]
    known = set(tokens)
    # Merges stand in the order of the tokens they make; a merge into a token that was cut off is left out.
    merges = [merge for merge in found["tokenizer.ggml.merges"] if merge.replace(" ", "") in known]
    types = found["tokenizer.ggml.token_type"][:VOCABULARY]
    return {**found, "tokens": tokens, "types": types, "merges": merges}


def make_tiny_gguf(
    path: Path,
    *,
    layers: int = 2,
    d_model: int = 64,
    d_ff: int = 256,
    seed: int = 0,
    tied: bool = True,
    chat_template: str | None = None,
    pre: str | None = None,
    extra: Sequence[tuple[str, NDArray[Any]]] = (),
    architecture: str = "llama",
    metadata: dict[str, int] | None = None,
) -> Path:
    """Write a random llama GGUF to ``path`` and return it.

    ``ffn_down`` is Q4_1 in even layers and F16 in odd ones. ``chat_template`` replaces SmolLM2's ("" leaves
    it out), ``pre`` its way to split text, ``extra`` tensors and ``metadata`` (behind
    ``<architecture>.``) are added as they are.
    """
    import gguf

    kinds = gguf.GGMLQuantizationType
    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(layers)
    writer.add_context_length(2048)
    writer.add_embedding_length(d_model)
    writer.add_feed_forward_length(d_ff)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_VALUE_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(d_model // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    for key, value in (metadata or {}).items():
        writer.add_uint32(f"{architecture}.{key}", value)
    _add_tokenizer(writer, chat_template, pre)

    def add(name: str, rows: int, columns: int, kind: Any, scale: float) -> None:
        values = (random.standard_normal((rows, columns)) * scale).astype(np.float32)
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    def add_norm(name: str) -> None:
        writer.add_tensor(name, (1 + 0.1 * random.standard_normal(d_model)).astype(np.float32))

    keys = d_model * KEY_VALUE_HEADS // HEADS
    add("token_embd.weight", VOCABULARY, d_model, kinds.Q8_0, 0.3)
    for layer in range(layers):
        block = f"blk.{layer}."
        add_norm(block + "attn_norm.weight")
        add(block + "ffn_down.weight", d_model, d_ff, kinds.F16 if layer % 2 else kinds.Q4_1, d_ff**-0.5)
        add(block + "ffn_gate.weight", d_ff, d_model, kinds.Q4_1, d_model**-0.5)
        add(block + "ffn_up.weight", d_ff, d_model, kinds.Q4_1, d_model**-0.5)
        add_norm(block + "ffn_norm.weight")
        add(block + "attn_k.weight", keys, d_model, kinds.Q4_1, d_model**-0.5)
        add(block + "attn_output.weight", d_model, d_model, kinds.Q8_0, d_model**-0.5)
        add(block + "attn_q.weight", d_model, d_model, kinds.Q4_1, d_model**-0.5)
        add(block + "attn_v.weight", keys, d_model, kinds.F16, d_model**-0.5)
    add_norm("output_norm.weight")
    if not tied:
        add("output.weight", VOCABULARY, d_model, kinds.F16, 0.3)
    for name, values in extra:
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer: Any, chat_template: str | None, pre: str | None) -> None:
    found = _tokenizer_metadata()
    writer.add_tokenizer_model(found["tokenizer.ggml.model"])
    writer.add_tokenizer_pre(pre or found["tokenizer.ggml.pre"])
    writer.add_token_list(found["tokens"])
    writer.add_token_types(found["types"])
    writer.add_token_merges(found["merges"])
    writer.add_bos_token_id(found["tokenizer.ggml.bos_token_id"])
    writer.add_eos_token_id(found["tokenizer.ggml.eos_token_id"])
    writer.add_unk_token_id(found["tokenizer.ggml.unknown_token_id"])
    writer.add_pad_token_id(found["tokenizer.ggml.padding_token_id"])
    writer.add_add_space_prefix(False)
    writer.add_add_bos_token(False)
    template = found["tokenizer.chat_template"] if chat_template is None else chat_template
    if template:
        writer.add_chat_template(template)


def make_tiny_adapter(path: Path, *, layers: Sequence[int], d_model: int, d_ff: int, seed: int = 0) -> Path:
    """Write a random GGUF LoRA adapter of rank 2 on ``ffn_down`` of some layers, and return its path."""
    import gguf

    random = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0)
    for layer in layers:
        name = f"blk.{layer}.ffn_down.weight"
        writer.add_tensor(f"{name}.lora_a", random.standard_normal((2, d_ff)).astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", random.standard_normal((d_model, 2)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
