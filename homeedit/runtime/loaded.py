"""A GGUF in llama.cpp: its cache and its logits.

The low-level interface is used, because ``llama_cpp.Llama`` keeps a guess about what its cache holds and
swaps adapters only by reloading.
"""

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from homeedit.base.llama_log import llama_library
from homeedit.errors import HomeEditError
from homeedit.runtime.model_file import architecture_of, load_model_file
from homeedit.runtime.vocabulary import Vocabulary

FloatArray = NDArray[np.float32]

Check = Callable[[], None]
"""Called now and then; raises what shall end the work."""

_BATCH = 512
"""Tokens evaluated at once; also the most whose logits are held at once (times 4 bytes times vocabulary)."""

_SAME_BITS = 256
"""Position up to which a token's logits are the same, to the last bit, whatever the number of threads. With more in the
cache llama.cpp's flash attention adds up one token's parts by thread: logits then differ by up to .6. Those of several
tokens at once never do. (Measured: SmolLM2-135M, one and two threads.)"""

_MOMENT = 0.002
"""Seconds between two looks at whether a batch is done, which takes 5 milliseconds or more."""

_GUESSED = 1024
"""Added to a file type that llama.cpp inferred from the tensors."""


ALL_LAYERS = 1000
"""More layers than a model has: all of them, and the output layer."""


def go_on() -> None:
    """The check of work that nobody ends."""


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What clients like to know of a model."""

    architecture: str
    parameters: int
    quantization: str
    """As in ``Q4_K_M``."""
    context: int
    """Tokens that question and answer may have together, as loaded."""
    template: str


class LoadedModel:
    """A GGUF loaded in llama.cpp. Not for use by several threads at once; close it, or use ``with``.

    ``gpu_layers`` of its layers answer from a GPU, if llama.cpp was built for one; else the number has no meaning.
    ``vocabulary``: the file's own, if it is loaded already, which saves most of the time.

    Memory: the file (mapped), the cache of ``context`` tokens, and logits of up to 512 positions.

    Raises:
        HomeEditError: the file is missing, truncated or not loadable; or the adapter does not fit.
    """

    def __init__(
        self,
        gguf: Path,
        *,
        threads: int,
        context: int = 2048,
        gpu_layers: int = ALL_LAYERS,
        adapter: Path | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        self._llama = llama_library()
        self._model: Any = None
        self._context: Any = None
        self._batch: Any = None
        self._adapter: Any = None
        self._adapter_path: Path | None = None
        self._cached: list[tuple[int, ...]] = []
        """The pieces that the cache holds whole, from its beginning on; what is behind them is of no use."""
        self._reused = 0
        self._own = self._threads = self._used = max(1, threads)
        """How many threads it has; how many shall evaluate for now; how many llama.cpp was told to use."""
        self._under_way: object = None
        """The batch that is evaluated just now."""
        self.gguf = gguf
        self.context = context
        try:
            self._load(self._own, gpu_layers, vocabulary)
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

    def tokens(self, text: str, *, special: bool = False) -> list[int]:
        """See ``Vocabulary.tokens``."""
        return self.vocabulary.tokens(text, special=special)

    def text(self, tokens: Sequence[int]) -> str:
        """See ``Vocabulary.text``."""
        return self.vocabulary.text(tokens)

    def token_bytes(self, token: int) -> bytes:
        """See ``Vocabulary.token_bytes``."""
        return self.vocabulary.token_bytes(token)

    def is_end(self, token: int) -> bool:
        """See ``Vocabulary.is_end``."""
        return self.vocabulary.is_end(token)

    @property
    def metadata(self) -> ModelMetadata:
        """What the file says of itself."""
        llama = self._llama
        kind = int(llama.llama_model_ftype(self._model)) & ~_GUESSED
        names = (name for name, value in vars(llama).items() if name.startswith("LLAMA_FTYPE_") and value == kind)
        quantization = next(names, "").removeprefix("LLAMA_FTYPE_").removeprefix("MOSTLY_").removeprefix("ALL_")
        return ModelMetadata(
            architecture=architecture_of(self._model),
            parameters=int(llama.llama_model_n_params(self._model)),
            quantization=quantization,
            context=self.context,
            template=self._template_text() or "",
        )

    @property
    def cached_tokens(self) -> int:
        """How many tokens of the last prompt were known from the one before."""
        return self._reused

    @property
    def cache_bytes(self) -> int:
        """About how much memory the cache of keys and values takes, in 16 bits each."""
        llama, model = self._llama, self._model
        heads = max(1, int(llama.llama_model_n_head(model)))
        width = int(llama.llama_model_n_embd(model)) * int(llama.llama_model_n_head_kv(model)) // heads
        return 2 * 2 * width * int(llama.llama_model_n_layer(model)) * self.context

    def use_adapter(self, adapter: Path | None) -> None:
        """Put a GGUF LoRA adapter on the model, or take it off (None). The cache is dropped.

        The last one stays loaded, known by its path: its file is not needed to put it on again.

        Raises:
            HomeEditError: the adapter cannot be loaded, or is for another model.
        """
        if adapter is None:
            self._put_on(None)
        elif adapter == self._adapter_path:
            self._put_on(self._adapter)
        else:
            loaded = self._load_adapter(adapter)
            self._put_on(loaded)
            if self._adapter is not None:
                self._llama.llama_adapter_lora_free(self._adapter)
            self._adapter, self._adapter_path = loaded, adapter

    def _load_adapter(self, adapter: Path) -> Any:
        loaded = self._llama.llama_adapter_lora_init(self._model, str(adapter).encode())
        if loaded:
            return loaded
        if not adapter.is_file():
            raise HomeEditError(f"There is no adapter file {adapter}.")
        raise HomeEditError(
            f"llama.cpp cannot use the adapter {adapter.name} with {self.gguf.name}.",
            "It is damaged, or was made for another model.",
        )

    def _put_on(self, loaded: Any) -> None:
        """``loaded`` None: nothing."""
        llama, count = self._llama, 0 if loaded is None else 1
        adapters = (llama.llama_adapter_lora_p_ctypes * 1)(loaded) if count else None
        if llama.llama_set_adapters_lora(self._context, adapters, count, (ctypes.c_float * 1)(1.0)):
            raise HomeEditError("llama.cpp refused the adapter.")
        self._forget()

    def _load(self, threads: int, gpu_layers: int, vocabulary: Vocabulary | None) -> None:
        llama = self._llama
        wanted = llama.llama_model_default_params()
        wanted.n_gpu_layers = gpu_layers if llama.llama_supports_gpu_offload() else 0
        if vocabulary is not None:
            wanted.kv_overrides = vocabulary.overrides()
        self._model = load_model_file(self.gguf, wanted)
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = self.context
        parameters.n_batch = parameters.n_ubatch = min(_BATCH, self.context)
        parameters.n_threads = parameters.n_threads_batch = threads
        self._context = llama.llama_init_from_model(self._model, parameters)
        if not self._context:
            self._context = None
            raise HomeEditError(
                f"llama.cpp cannot make a context of {self.context} tokens for {self.gguf.name}.",
                "Too little memory is free: set a smaller context in homeedit.toml.",
            )
        self.vocabulary = vocabulary or Vocabulary(self._model)
        self._batch = llama.llama_batch_init(int(parameters.n_batch), 0, 1)
        self._batch_size = int(parameters.n_batch)

    def _template_text(self) -> str | None:
        """The model's chat template, if it has one."""
        template = self._llama.llama_model_chat_template(self._model, None)
        try:
            return template.decode("utf-8") if template else None
        except UnicodeDecodeError as error:
            raise HomeEditError(
                f"The chat template in {self.gguf.name} is broken: it is not UTF-8.", "Use another file of the model."
            ) from error

    def _check_length(self, count: int) -> None:
        if count > self.context:
            raise HomeEditError(
                f"The text has {count} tokens; the model's context holds {self.context}.",
                "Ask something shorter, or set a larger context in homeedit.toml.",
            )

    def use_threads(self, threads: int) -> None:
        """Evaluate with so many threads from now on, where that changes no answer. Any thread may say so; it returns
        when no batch is evaluated any more that began before."""
        before, self._threads = self._threads, max(1, threads)
        under_way = None if before == self._threads else self._under_way
        while under_way is not None and self._under_way is under_way:
            time.sleep(_MOMENT)

    def _forget(self) -> None:
        """Drop everything that is cached."""
        self._llama.llama_memory_clear(self._llama.llama_get_memory(self._context), True)
        self._cached = []

    def _evaluate(self, pieces: Sequence[Sequence[int]], wanted: int, check: Check = go_on) -> FloatArray:
        """Evaluate ``pieces``, each in batches of its own; return the last ``wanted`` logits.

        ``check`` is called before every batch and may raise: pieces that were not finished are then forgotten.

        Whole pieces that the cache begins with are not evaluated again, so that the logits, to the last bit, depend
        on the pieces alone. All wanted positions must lie in the last piece.
        """
        ids = [tuple(piece) for piece in pieces if piece]
        if not ids:
            raise HomeEditError("There is nothing to evaluate: the prompt is empty.")
        kept = 0
        while kept < min(len(ids) - 1, len(self._cached)) and ids[kept] == self._cached[kept]:
            kept += 1
        position = sum(map(len, ids[:kept]))
        memory = self._llama.llama_get_memory(self._context)
        if kept == 0 or not self._llama.llama_memory_seq_rm(memory, 0, position, -1):
            self._forget()
            kept = position = 0
        self._cached = self._cached[:kept]
        self._reused = position
        for piece in ids[kept:-1]:
            self._decode(piece, position, 0, check)
            self._cached.append(piece)
            position += len(piece)
        logits = self._decode(ids[-1], position, wanted, check)
        self._cached.append(ids[-1])
        return logits

    def _decode(self, tokens: Sequence[int], position: int, wanted: int, check: Check = go_on) -> FloatArray:
        """Evaluate ``tokens`` at ``position`` on; return logits [wanted, vocabulary], the last ones."""
        found: list[FloatArray] = []
        first_wanted = len(tokens) - wanted
        for start in range(0, len(tokens), self._batch_size):
            check()
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
            any_number = len(piece) > 1 or position + start < _SAME_BITS
            failed = self._decode_batch(batch, any_number)
            if failed:
                self._forget()
                raise HomeEditError(f"llama.cpp could not evaluate the text (code {failed}).")
            if outputs:
                pointer = self._llama.llama_get_logits(self._context)
                found.append(np.ctypeslib.as_array(pointer, shape=(outputs, self.vocabulary.size)).copy())
        return np.concatenate(found) if found else np.empty((0, self.vocabulary.size), np.float32)

    def _decode_batch(self, batch: Any, any_number: bool) -> int:
        """``any_number`` of threads gives the same logits. The number is read when the batch is known to be under way,
        so that ``use_threads`` misses none."""
        self._under_way = object()
        try:
            threads = self._threads if any_number else self._own
            if threads != self._used:
                self._llama.llama_set_n_threads(self._context, threads, threads)
                self._used = threads
            return int(self._llama.llama_decode(self._context, batch))
        finally:
            self._under_way = None
