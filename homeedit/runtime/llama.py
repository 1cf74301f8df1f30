"""llama.cpp as homeedit asks it: one model, one conversation at a time, greedy.

The low-level interface is used, because ``llama_cpp.Llama`` keeps a guess about what its cache holds and
swaps adapters only by reloading.
"""

import ctypes
from collections.abc import Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from homeedit.base.gguf_file import read_gguf
from homeedit.base.llama_log import llama_library
from homeedit.errors import HomeEditError
from homeedit.runtime.chat import ChatFormat

FloatArray = NDArray[np.float32]

_BATCH = 512
"""Tokens evaluated at once; also the most whose logits are held at once (times 4 bytes times vocabulary)."""


def silence_llama_log() -> None:
    """Stop llama.cpp's talk on stderr, for this process."""
    llama_library()


def log_softmax(logits: FloatArray) -> FloatArray:
    """Log-probabilities along the last axis, float32, shape as given."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), dtype=np.float32)


class Runtime:
    """A GGUF loaded in llama.cpp. Not for use by several threads at once; close it, or use ``with``.

    What an answer is depends on the question alone, not on what was asked before, to the last bit: only the
    tokens that every chat turn begins with (the system prompt) are kept between questions, they are always
    evaluated as a batch of their own, and a change of adapter drops them.

    Memory: the file (mapped), the cache of ``context`` tokens, and logits of up to 512 positions.

    Raises:
        HomeEditError: the file is missing, truncated, not loadable or has no chat template; or the adapter
            does not fit.
    """

    def __init__(self, gguf: Path, *, threads: int, context: int = 2048, adapter: Path | None = None) -> None:
        self._llama = llama_library()
        self._model: Any = None
        self._context: Any = None
        self._batch: Any = None
        self._adapter: Any = None
        self._prefix_ready = False
        self.gguf = gguf
        self.context = context
        try:
            self._load(threads)
            self._format = self._chat_format()
            if adapter is not None:
                self.use_adapter(adapter)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the model. Further calls do nothing."""
        if self._batch is not None:
            self._llama.llama_batch_free(self._batch)
            self._batch = None
        if self._context is not None:
            self._llama.llama_free(self._context)
            self._context = None
        # The model frees its adapters with itself.
        if self._model is not None:
            self._llama.llama_model_free(self._model)
            self._model = self._adapter = None

    def chat(self, question: str, *, max_tokens: int = 48) -> str:
        """The greedy answer to one question, up to where the model ends its turn or ``max_tokens``.

        Raises:
            HomeEditError: the question does not fit into the context.
        """
        return self.text(self.generate_tokens(self.chat_tokens(question), max_tokens))

    def chat_tokens(self, question: str) -> list[int]:
        """Token ids of the question as one user turn, ready for the answer; see ``ChatFormat``."""
        return self._format.tokens(question)

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of a text, nothing added; ``special``: the texts of special tokens are those tokens."""
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

    def generate_tokens(self, prompt_tokens: Sequence[int], max_tokens: int) -> list[int]:
        """The greedy continuation of a prompt: token ids without the one that ends the turn.

        Raises:
            HomeEditError: the prompt is empty or does not fit into the context.
        """
        return list(self.stream_tokens(prompt_tokens, max_tokens))

    def stream_tokens(self, prompt_tokens: Sequence[int], max_tokens: int) -> Generator[int, None, None]:
        """The tokens of ``generate_tokens`` one by one; closing the iterator stops.

        Until it has ended or was closed, nothing else may be asked of this model.
        """
        self._check_length(len(prompt_tokens) + 1)
        logits = self._begin(prompt_tokens, wanted=1)[-1]
        limit = min(max_tokens, self.context - len(prompt_tokens))
        for position in range(len(prompt_tokens), len(prompt_tokens) + limit):
            token = int(logits.argmax())
            if self._llama.llama_vocab_is_eog(self._vocabulary, token):
                return
            yield token
            if position + 1 < len(prompt_tokens) + limit:
                logits = self._decode([token], position, wanted=1)[-1]

    def answer_logprobs(self, prompt_tokens: Sequence[int], answer_tokens: Sequence[int]) -> FloatArray:
        """Log-probabilities at every position of a given answer: float32 [n_answer, vocabulary].

        Row i is what the model expects after the prompt and the first i answer tokens.

        Raises:
            HomeEditError: the prompt or answer is empty, or together they do not fit into the context.
        """
        if not answer_tokens:
            raise HomeEditError("There is no answer to score.")
        tokens = [*prompt_tokens, *answer_tokens[:-1]]
        self._check_length(len(tokens))
        return log_softmax(self._begin(tokens, wanted=len(answer_tokens)))

    def perplexity(self, text: str, window: int = 512) -> float:
        """exp of the mean negative log-likelihood per token, over windows of ``window`` tokens.

        Windows do not overlap; the first token of each is given, not scored (or the beginning-of-text token,
        if the model uses one).

        Raises:
            HomeEditError: the text has fewer than two tokens, or the window does not fit into the context.
        """
        self._check_length(window)
        tokens = self.tokens(text)
        start: list[int] = []
        if self._llama.llama_vocab_get_add_bos(self._vocabulary):
            start = [int(self._llama.llama_vocab_bos(self._vocabulary))]
        step = max(1, window - len(start))
        total, count = 0.0, 0
        for at in range(0, len(tokens), step):
            piece = [*start, *tokens[at : at + step]]
            if len(piece) < 2:
                continue
            logits = self._begin(piece[:-1], wanted=len(piece) - 1)
            for row, token in zip(logits, piece[1:], strict=True):
                total += _negative_log_likelihood(row, token)
            count += len(piece) - 1
        if count == 0:
            raise HomeEditError("The text is too short to measure perplexity on (it needs two tokens).")
        return float(np.exp(total / count))

    def use_adapter(self, adapter: Path | None) -> None:
        """Put a GGUF LoRA adapter on the model, or take it off (None). The cache is dropped.

        Raises:
            HomeEditError: the adapter cannot be loaded, or is for another model.
        """
        llama = self._llama
        loaded = None
        if adapter is not None:
            loaded = llama.llama_adapter_lora_init(self._model, str(adapter).encode())
            if not loaded:
                if not adapter.is_file():
                    raise HomeEditError(f"There is no adapter file {adapter}.")
                raise HomeEditError(
                    f"llama.cpp cannot use the adapter {adapter.name} with {self.gguf.name}.",
                    "It is damaged, or was made for another model.",
                )
        if loaded is None:
            failed = llama.llama_set_adapters_lora(self._context, None, 0, None)
        else:
            adapters = (llama.llama_adapter_lora_p_ctypes * 1)(loaded)
            failed = llama.llama_set_adapters_lora(self._context, adapters, 1, (ctypes.c_float * 1)(1.0))
        if failed:
            raise HomeEditError("llama.cpp refused the adapter.")
        if self._adapter is not None:
            llama.llama_adapter_lora_free(self._adapter)
        self._adapter = loaded
        self._forget()

    def _load(self, threads: int) -> None:
        llama = self._llama
        if not self.gguf.is_file():
            raise HomeEditError(f"The model file {self.gguf} is not there.")
        self._model = llama.llama_model_load_from_file(str(self.gguf).encode(), llama.llama_model_default_params())
        if not self._model:
            self._model = None
            read_gguf(self.gguf)  # says what is wrong, if the header tells
            raise HomeEditError(
                f"llama.cpp cannot load the model file {self.gguf}.",
                "It is damaged, or too large for the memory that is free.",
            )
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = self.context
        parameters.n_batch = parameters.n_ubatch = min(_BATCH, self.context)
        parameters.n_threads = parameters.n_threads_batch = max(1, threads)
        self._context = llama.llama_init_from_model(self._model, parameters)
        if not self._context:
            self._context = None
            raise HomeEditError(
                f"llama.cpp cannot make a context of {self.context} tokens for {self.gguf.name}.",
                "Too little memory is free: set a smaller context in homeedit.toml.",
            )
        self._vocabulary = llama.llama_model_get_vocab(self._model)
        self._size = int(llama.llama_vocab_n_tokens(self._vocabulary))
        self._batch = llama.llama_batch_init(int(parameters.n_batch), 0, 1)
        self._batch_size = int(parameters.n_batch)

    def _chat_format(self) -> ChatFormat:
        llama = self._llama
        template = llama.llama_model_chat_template(self._model, None)
        if not template:
            raise HomeEditError(
                f"{self.gguf.name} has no chat template, so it cannot be asked questions.",
                "Use an instruction-tuned model.",
            )

        def text_of(token: int) -> str:
            return "" if token < 0 else llama.llama_vocab_get_text(self._vocabulary, token).decode("utf-8")

        def special_text(token: int) -> str | None:
            return text_of(token) if llama.llama_vocab_is_control(self._vocabulary, token) else None

        return ChatFormat(
            template.decode("utf-8"),
            bos=text_of(llama.llama_vocab_bos(self._vocabulary)),
            eos=text_of(llama.llama_vocab_eos(self._vocabulary)),
            tokenize=lambda text, special: self.tokens(text, special=special),
            special_text=special_text,
        )

    def _check_length(self, count: int) -> None:
        if count > self.context:
            raise HomeEditError(
                f"The text has {count} tokens; the model's context holds {self.context}.",
                "Ask something shorter, or set a larger context in homeedit.toml.",
            )

    def _forget(self) -> None:
        """Drop everything that is cached."""
        self._llama.llama_memory_clear(self._llama.llama_get_memory(self._context), True)
        self._prefix_ready = False

    def _begin(self, tokens: Sequence[int], wanted: int) -> FloatArray:
        """Evaluate ``tokens`` from an empty context; return the last ``wanted`` logits."""
        if not tokens:
            raise HomeEditError("There is nothing to evaluate: the prompt is empty.")
        prefix = self._format.prefix
        shared = len(prefix)
        # Every wanted position must lie behind the prefix, whose logits are not kept.
        if not 0 < shared <= len(tokens) - wanted or tuple(tokens[:shared]) != prefix:
            self._forget()
            return self._decode(tokens, 0, wanted)
        if self._prefix_ready:
            memory = self._llama.llama_get_memory(self._context)
            self._prefix_ready = bool(self._llama.llama_memory_seq_rm(memory, 0, shared, -1))
        if not self._prefix_ready:
            self._forget()
            self._decode(prefix, 0, wanted=0)
            self._prefix_ready = True
        return self._decode(tokens[shared:], shared, wanted)

    def _decode(self, tokens: Sequence[int], position: int, wanted: int) -> FloatArray:
        """Evaluate ``tokens`` at ``position`` on; return logits [wanted, vocabulary], the last ones."""
        found: list[FloatArray] = []
        first_wanted = len(tokens) - wanted
        for start in range(0, len(tokens), self._batch_size):
            piece = tokens[start : start + self._batch_size]
            batch, outputs = self._batch, 0
            batch.n_tokens = len(piece)
            for index, token in enumerate(piece):
                asked = start + index >= first_wanted
                batch.token[index] = token
                batch.pos[index] = position + start + index
                batch.n_seq_id[index] = 1
                batch.seq_id[index][0] = 0
                batch.logits[index] = asked
                outputs += asked
            failed = self._llama.llama_decode(self._context, batch)
            if failed:
                self._forget()
                raise HomeEditError(f"llama.cpp could not evaluate the text (code {failed}).")
            if outputs:
                pointer = self._llama.llama_get_logits(self._context)
                found.append(np.ctypeslib.as_array(pointer, shape=(outputs, self._size)).copy())
        return np.concatenate(found) if found else np.empty((0, self._size), np.float32)


def _negative_log_likelihood(row: FloatArray, token: int) -> float:
    """-log p(token) in nats, under one row of logits [vocabulary]."""
    top = float(row.max())
    return top + float(np.log(np.exp(row - top).sum(dtype=np.float64))) - float(row[token])
