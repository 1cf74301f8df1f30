"""The map of each supported architecture: one entry says all that the rest of homeedit needs to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from homeedit.errors import HomeEditError


def _frozen(mapping: dict[str, str]) -> Mapping[str, str]:
    return MappingProxyType(mapping)


@dataclass(frozen=True)
class Architecture:
    """Where things are in one architecture, in transformers and in GGUF.

    ``config`` maps fields of config.json to GGUF metadata keys (behind ``<name>.``), ``constants`` are fields
    that every model of the architecture has; ``tensors`` and ``block_tensors`` map GGUF tensor names to
    transformers' names (a block's behind ``blk.<layer>.`` and ``<layers_path>.<layer>.``).
    """

    name: str
    """The model type, in config.json and in GGUF's ``general.architecture``."""
    layers_path: str
    """Path of the list of decoder layers in the transformers model."""
    down_proj: str
    """Path of the edited linear layer within a decoder layer."""
    config: Mapping[str, str]
    constants: Mapping[str, object]
    tensors: Mapping[str, str]
    block_tensors: Mapping[str, str]
    block_shapes: Mapping[str, tuple[str, ...]]
    """Block tensors (GGUF names) → their shape, each length d_model, d_ff,
    queries (heads times d_head) or keys (key-value heads times d_head); the same in both formats."""
    rotary_permuted: Mapping[str, str]
    """Block tensors whose rows GGUF stores in another order → the config field that counts their heads."""
    refused_metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """GGUF metadata keys (behind ``<name>.``) of variants that are not supported → what they are."""

    def down_proj_weight(self, layer: int) -> str:
        """Name of the edited weight of a layer in safetensors."""
        return f"{self.layers_path}.{layer}.{self.down_proj}.weight"

    def gguf_down_proj(self, layer: int) -> str:
        """Name of the edited weight of a layer in GGUF."""
        return f"blk.{layer}.ffn_down.weight"

    def shapes(self, config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
        """Every weight of a model with this config.json, under transformers' names, with its shape.

        Raises:
            KeyError, TypeError: the config lacks a field, or it is not a number.
        """
        sizes = {
            "d_model": int(config["hidden_size"]),
            "d_ff": int(config["intermediate_size"]),
            "queries": int(config["num_attention_heads"]) * int(config["head_dim"]),
            "keys": int(config["num_key_value_heads"]) * int(config["head_dim"]),
        }
        vocabulary, d_model = int(config["vocab_size"]), sizes["d_model"]
        found: dict[str, tuple[int, ...]] = {
            self.tensors["token_embd.weight"]: (vocabulary, d_model),
            self.tensors["output_norm.weight"]: (d_model,),
        }
        if not config["tie_word_embeddings"]:
            found[self.tensors["output.weight"]] = (vocabulary, d_model)
        for layer in range(int(config["num_hidden_layers"])):
            for gguf_name, shape in self.block_shapes.items():
                name = f"{self.layers_path}.{layer}.{self.block_tensors[gguf_name]}"
                found[name] = tuple(sizes[size] for size in shape)
        return found

    def transformers_name(self, gguf_name: str) -> str | None:
        """The transformers name of a GGUF tensor, or None if the architecture has no such tensor."""
        if not gguf_name.startswith("blk."):
            return self.tensors.get(gguf_name)
        layer, _, rest = gguf_name.removeprefix("blk.").partition(".")
        found = self.block_tensors.get(rest)
        return None if found is None else f"{self.layers_path}.{layer}.{found}"


ARCHITECTURES: dict[str, Architecture] = {
    "llama": Architecture(
        name="llama",
        layers_path="model.layers",
        down_proj="mlp.down_proj",
        config=_frozen(
            {
                "num_hidden_layers": "block_count",
                "max_position_embeddings": "context_length",
                "hidden_size": "embedding_length",
                "intermediate_size": "feed_forward_length",
                "num_attention_heads": "attention.head_count",
                "num_key_value_heads": "attention.head_count_kv",
                "rms_norm_eps": "attention.layer_norm_rms_epsilon",
                "rope_theta": "rope.freq_base",
            }
        ),
        constants=MappingProxyType(
            {
                "model_type": "llama",
                "architectures": ["LlamaForCausalLM"],
                "hidden_act": "silu",
                "attention_bias": False,
                "mlp_bias": False,
                "attention_dropout": 0.0,
            }
        ),
        tensors=_frozen(
            {
                "token_embd.weight": "model.embed_tokens.weight",
                "output_norm.weight": "model.norm.weight",
                "output.weight": "lm_head.weight",
            }
        ),
        block_tensors=_frozen(
            {
                "attn_norm.weight": "input_layernorm.weight",
                "attn_q.weight": "self_attn.q_proj.weight",
                "attn_k.weight": "self_attn.k_proj.weight",
                "attn_v.weight": "self_attn.v_proj.weight",
                "attn_output.weight": "self_attn.o_proj.weight",
                "ffn_norm.weight": "post_attention_layernorm.weight",
                "ffn_gate.weight": "mlp.gate_proj.weight",
                "ffn_up.weight": "mlp.up_proj.weight",
                "ffn_down.weight": "mlp.down_proj.weight",
            }
        ),
        block_shapes=MappingProxyType(
            {
                "attn_norm.weight": ("d_model",),
                "attn_q.weight": ("queries", "d_model"),
                "attn_k.weight": ("keys", "d_model"),
                "attn_v.weight": ("keys", "d_model"),
                "attn_output.weight": ("d_model", "queries"),
                "ffn_norm.weight": ("d_model",),
                "ffn_gate.weight": ("d_ff", "d_model"),
                "ffn_up.weight": ("d_ff", "d_model"),
                "ffn_down.weight": ("d_model", "d_ff"),
            }
        ),
        rotary_permuted=_frozen({"attn_q.weight": "num_attention_heads", "attn_k.weight": "num_key_value_heads"}),
        refused_metadata=_frozen(
            {
                "expert_count": "a mixture of experts",
                "rope.scaling.type": "scaled rotary positions",
            }
        ),
    )
}


def architecture_named(name: str) -> Architecture:
    """The architecture called ``name``.

    Raises:
        HomeEditError: it is not one of those supported.
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        raise HomeEditError(
            f"The model's architecture is {name!r}, which is not supported.",
            f"Supported: {', '.join(sorted(ARCHITECTURES))}.",
        ) from None
