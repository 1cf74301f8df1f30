"""The tokenizer of a GGUF file as transformers reads it, proved equal to llama.cpp's on probe texts.

Editing reads positions with transformers' tokenizer and the answers come from llama.cpp's: were they to
differ, edits would sit on the wrong tokens. So a model whose tokenizers disagree is refused.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeedit.base.gguf_file import GgufFile
from homeedit.errors import HomeEditError

_CONTROL, _USER_DEFINED = 3, 4
"""Values of ``tokenizer.ggml.token_type``."""

_DAMAGED_HINT = "Download or copy the model again."

_LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

PRE_TOKENIZERS = ("smollm", "llama-bpe", "llama3", "gpt-2")
"""The values of ``tokenizer.ggml.pre`` that are understood."""

PROBES = (
    "The spare key is under the blue flower pot.",
    "Wi-Fi code: 4711-AB, since 2024-03-09 at 17:45 (5,50 €)!",
    "  two  spaces,\ttab,\n\nlines; it's Zoë's café, naïve – “quoted” … ÄÖÜß 日本語 😀",
    "What's Grandma's phone number? I don't know: +49 (0)30 1234567.",
)


def _pre_tokenizer(pre: str, path: Path) -> Any:
    from tokenizers import Regex
    from tokenizers import pre_tokenizers as parts

    if pre == "smollm":
        return parts.Sequence([parts.Digits(individual_digits=True), parts.ByteLevel(add_prefix_space=False)])
    if pre in ("llama-bpe", "llama3"):
        words = parts.Split(Regex(_LLAMA3_WORDS), behavior="isolated")
        return parts.Sequence([words, parts.ByteLevel(add_prefix_space=False, use_regex=False)])
    if pre == "gpt-2":
        return parts.ByteLevel(add_prefix_space=False)
    raise HomeEditError(
        f"{path.name}: its tokenizer splits text as {pre!r}, which is not supported.",
        f"Supported: {', '.join(PRE_TOKENIZERS)}; or give the Hugging Face folder with the GGUF file in it.",
    )


def chat_template(source: GgufFile) -> str:
    """The model's own chat template.

    Raises:
        HomeEditError: it has none.
    """
    template = source.metadata.get("tokenizer.chat_template")
    if not isinstance(template, str) or not template.strip():
        raise HomeEditError(
            f"{source.path.name} has no chat template, so it cannot be asked questions.",
            "Use an instruction-tuned model (its name often ends in -Instruct or -Chat).",
        )
    return template


def write_tokenizer(source: GgufFile, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json made from a GGUF file's metadata.

    Raises:
        HomeEditError: the tokenizer is of a kind that is not supported, or its metadata is damaged.
        OSError: the files cannot be written.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, processors

    metadata = source.metadata
    kind = metadata.get("tokenizer.ggml.model")
    if kind != "gpt2":
        raise HomeEditError(
            f"{source.path.name}: its tokenizer is of the kind {kind!r}, which is not supported by itself.",
            "Supported: byte-level BPE (gpt2); or give the Hugging Face folder with the GGUF file in it.",
        )
    tokens: list[str] = metadata.get("tokenizer.ggml.tokens", [])
    merges = [tuple(merge.split(" ", 1)) for merge in metadata.get("tokenizer.ggml.merges", [])]
    pre = str(metadata.get("tokenizer.ggml.pre", "default"))
    vocabulary = {token: index for index, token in enumerate(tokens)}
    try:
        # llama.cpp ignores merges in whole words that are in the vocabulary for Llama 3 (ignore_merges).
        tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=pre in ("llama-bpe", "llama3")))
    except Exception as error:  # tokenizers raises bare Exception on merges that are not in the vocabulary
        raise HomeEditError(f"{source.path.name}: its vocabulary is damaged: {error}.", _DAMAGED_HINT) from error
    tokenizer.pre_tokenizer = _pre_tokenizer(pre, source.path)
    tokenizer.decoder = decoders.ByteLevel()
    types = metadata.get("tokenizer.ggml.token_type", [])
    for token, token_type in zip(tokens, types, strict=False):
        if token_type == _CONTROL:
            tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        elif token_type == _USER_DEFINED:
            tokenizer.add_tokens([AddedToken(token, special=False, normalized=False)])
    special = _special_tokens(metadata, tokens)
    if metadata.get("tokenizer.ggml.add_bos_token") and "bos_token" in special:
        bos = special["bos_token"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, vocabulary[bos])]
        )
    # Not tokenizer.save: its failures are no OSError.
    (folder / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    _write_tokenizer_config(folder, special, chat_template(source))


def _special_tokens(metadata: Mapping[str, Any], tokens: list[str]) -> dict[str, str]:
    names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    found = {field: metadata.get(f"tokenizer.ggml.{name}_token_id") for field, name in names.items()}
    return {field: tokens[index] for field, index in found.items() if isinstance(index, int) and index < len(tokens)}


def _write_tokenizer_config(folder: Path, special: Mapping[str, str], template: str) -> None:
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "chat_template": template,
        **special,
    }
    text = json.dumps(config, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")


def copy_tokenizer(source: Path, folder: Path, template: str) -> None:
    """Copy a Hugging Face folder's tokenizer; ``template``, the GGUF's, which is served, replaces its own.

    Raises:
        HomeEditError: there is no tokenizer.json, or a file is not JSON.
        OSError: a file cannot be read or written.
    """
    tokenizer = source / "tokenizer.json"
    if not tokenizer.is_file():
        raise HomeEditError(
            f"{source} has no tokenizer.json.",
            "Only fast tokenizers are supported; save it with transformers' save_pretrained.",
        )
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    config_file = source / "tokenizer_config.json"
    found: dict[str, Any] = {}
    if config_file.is_file():
        try:
            found = json.loads(config_file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise HomeEditError(f"{config_file} is not valid JSON: {error}.", _DAMAGED_HINT) from error
        if not isinstance(found, dict):
            raise HomeEditError(f"{config_file} is not the config of a tokenizer.", _DAMAGED_HINT)
    special = {}
    for name in ("bos_token", "eos_token", "unk_token", "pad_token"):
        value = found.get(name)
        if isinstance(value, dict):
            value = value.get("content")
        if isinstance(value, str):
            special[name] = value
    _write_tokenizer_config(folder, special, template)


def _load_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise HomeEditError(f"The model's {path.name} cannot be read: {error}.", _DAMAGED_HINT) from error


def check_tokenizer(gguf: Path, folder: Path) -> None:
    """Compare transformers' tokens with llama.cpp's on the probe texts.

    Raises:
        HomeEditError: they differ, or llama.cpp cannot load the file.
    """
    from homeedit.base.llama_log import llama_library

    tokenizer = _load_tokenizer(folder / "tokenizer.json")
    llama_cpp = llama_library()
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(gguf).encode(), parameters)
    if not model:
        raise HomeEditError(f"llama.cpp cannot load {gguf.name}.", "It may be of a kind it does not know.")
    try:
        vocabulary = llama_cpp.llama_model_get_vocab(model)
        for probe in PROBES:
            ours = tokenizer.encode(probe, add_special_tokens=False).ids
            buffer = (llama_cpp.llama_token * (len(probe.encode()) + 8))()
            data = probe.encode()
            count = llama_cpp.llama_tokenize(vocabulary, data, len(data), buffer, len(buffer), False, False)
            if ours != list(buffer[: max(count, 0)]):
                raise HomeEditError(
                    f"The tokenizer of {gguf.name} gives other tokens in llama.cpp than in transformers"
                    f" (for {probe!r}).",
                    "The two files belong to different models, or the tokenizer's kind is not supported.",
                )
    finally:
        llama_cpp.llama_model_free(model)
