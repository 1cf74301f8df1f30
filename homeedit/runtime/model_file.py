"""A GGUF as llama.cpp loads it, and what it says of itself."""

import ctypes
from pathlib import Path
from typing import Any

from homeedit.base.gguf_file import read_gguf
from homeedit.base.llama_log import llama_library
from homeedit.errors import HomeEditError


def load_model_file(gguf: Path, parameters: Any) -> Any:
    """llama.cpp's model of a file, to be freed by who asked for it.

    Raises:
        HomeEditError: the file is missing, truncated or not loadable.
    """
    if not gguf.is_file():
        raise HomeEditError(f"The model file {gguf} is not there.")
    model = llama_library().llama_model_load_from_file(str(gguf).encode(), parameters)
    if not model:
        read_gguf(gguf)  # says what is wrong, if the header tells
        raise HomeEditError(
            f"llama.cpp cannot load the model file {gguf}.",
            "It is damaged, or too large for the memory that is free.",
        )
    return model


def architecture_of(model: Any) -> str:
    """What the file of a loaded model calls its architecture; empty if it says nothing."""
    buffer = ctypes.create_string_buffer(256)
    found = llama_library().llama_model_meta_val_str(model, b"general.architecture", buffer, len(buffer))
    return buffer.value.decode("utf-8", errors="replace") if found > 0 else ""
