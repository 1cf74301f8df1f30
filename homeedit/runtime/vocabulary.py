"""A GGUF's vocabulary: text to tokens and back."""

import ctypes
import weakref
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from homeedit.base.llama_log import llama_library
from homeedit.errors import HomeEditError
from homeedit.runtime.model_file import architecture_of, load_model_file

_LONGEST = 8192
"""Characters that llama.cpp is given to tokenize at once."""


class Vocabulary:
    """The vocabulary of a model that llama.cpp has loaded. It changes nothing there: any thread may use it."""

    def __init__(self, model: Any) -> None:
        """``model``: llama.cpp's, which must stay loaded for as long as this is used."""
        self._llama = llama_library()
        self._model = model
        self._vocabulary = self._llama.llama_model_get_vocab(model)
        self.size = int(self._llama.llama_vocab_n_tokens(self._vocabulary))
        """How many tokens there are."""

    @classmethod
    def of_file(cls, gguf: Path) -> Self:
        """The vocabulary alone, for several models that have the same one (``LoadedModel``'s ``vocabulary``). Freed
        when nobody refers to it any more.

        Raises:
            HomeEditError: the file is missing or damaged.
        """
        llama = llama_library()
        wanted = llama.llama_model_default_params()
        wanted.vocab_only = True
        model = load_model_file(gguf, wanted)
        found = cls(model)
        # Not at the interpreter's exit, where a thread that answers may still use it.
        weakref.finalize(found, llama.llama_model_free, model).atexit = False
        return found

    def overrides(self) -> Any:
        """What makes llama.cpp load a model without its own vocabulary, for which it needs most of the time that
        loading a small model takes (.075 of .12 s): an array for ``kv_overrides``, ended by an empty item."""
        llama = self._llama
        found = (llama.llama_model_kv_override * 3)()
        none, size = found[0], found[1]
        none.tag, none.key = llama.LLAMA_KV_OVERRIDE_TYPE_STR, b"tokenizer.ggml.model"
        none.value.val_str = b"no_vocab"
        size.tag, size.key = llama.LLAMA_KV_OVERRIDE_TYPE_INT, f"{architecture_of(self._model)}.vocab_size".encode()
        size.value.val_i64 = self.size
        return found

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of a text, nothing added; ``special``: the texts of special tokens are those tokens."""
        return [token for part in self._parts(text) for token in self._tokens_of(part, special)]

    def _parts(self, text: str) -> Iterator[str]:
        """``text`` in parts that llama.cpp can split: where it does so by regular expressions (BPE), some ten thousand
        letters without a space use up its stack, which ends the process. Cut before a space, where words end anyhow."""
        if self._llama.llama_vocab_type(self._vocabulary) != self._llama.LLAMA_VOCAB_TYPE_BPE:
            yield text
            return
        at = 0
        while len(text) - at > _LONGEST:
            space = text.rfind(" ", at + 1, at + _LONGEST)
            end = space if space > 0 else at + _LONGEST
            yield text[at:end]
            at = end
        yield text[at:]

    def _tokens_of(self, text: str, special: bool) -> list[int]:
        data = text.encode("utf-8", errors="replace")
        buffer = (self._llama.llama_token * (len(data) + 8))()
        count = self._llama.llama_tokenize(self._vocabulary, data, len(data), buffer, len(buffer), False, special)
        if count < 0:
            raise HomeEditError("llama.cpp could not split the text into tokens.")
        return list(buffer[:count])

    def text(self, tokens: Sequence[int]) -> str:
        """The text of token ids, special tokens left out, without white space at its ends."""
        if not tokens:
            return ""
        ids = (self._llama.llama_token * len(tokens))(*tokens)
        size = 64 * len(tokens)
        for _ in range(2):
            buffer = ctypes.create_string_buffer(size)
            count = self._llama.llama_detokenize(self._vocabulary, ids, len(tokens), buffer, size, False, False)
            if count >= 0:
                return buffer.raw[:count].decode("utf-8", errors="replace").strip()
            size = -count
        raise HomeEditError("llama.cpp could not turn tokens into text.")

    def token_bytes(self, token: int) -> bytes:
        """The bytes of a token's text; those of a special token are none."""
        size = 64
        for _ in range(2):
            buffer = ctypes.create_string_buffer(size)
            count = int(self._llama.llama_token_to_piece(self._vocabulary, token, buffer, size, 0, False))
            if count >= 0:
                return buffer.raw[:count]
            size = -count
        raise HomeEditError("llama.cpp could not turn a token into text.")

    def is_end(self, token: int) -> bool:
        """Whether the token ends an answer."""
        return bool(self._llama.llama_vocab_is_eog(self._vocabulary, token))

    def start(self) -> list[int]:
        """The beginning-of-text token, if the model uses one."""
        if not self._llama.llama_vocab_get_add_bos(self._vocabulary):
            return []
        return [int(self._llama.llama_vocab_bos(self._vocabulary))]

    @property
    def begin_text(self) -> str:
        """The beginning-of-text token as templates write it; empty if there is none."""
        return self._special_text(self._llama.llama_vocab_bos(self._vocabulary))

    @property
    def end_text(self) -> str:
        """The end-of-text token as templates write it; empty if there is none."""
        return self._special_text(self._llama.llama_vocab_eos(self._vocabulary))

    @cached_property
    def specials(self) -> dict[str, int]:
        """The text of each special token, and its id."""
        llama, vocabulary = self._llama, self._vocabulary
        control = [token for token in range(self.size) if llama.llama_vocab_is_control(vocabulary, token)]
        return {self._special_text(token): token for token in control}

    def _special_text(self, token: int) -> str:
        return "" if token < 0 else self._llama.llama_vocab_get_text(self._vocabulary, token).decode("utf-8", "replace")
