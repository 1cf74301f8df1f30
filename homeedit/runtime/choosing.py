"""The next token, by llama.cpp's own samplers."""

import ctypes
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from homeedit.errors import USAGE, HomeEditError
from homeedit.runtime.grammar import Grammar, TokenFilter
from homeedit.runtime.json_schema import schema_to_gbnf
from homeedit.runtime.sampling import Sampling

_COLDEST = 0.001
"""Below this temperature the likeliest token is taken: logits divided by less would be too large for a float."""

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""``llama_token_data``."""


class Guide:
    """The grammar that an answer follows, and what a vocabulary's tokens are to it."""

    def __init__(
        self, grammar: Grammar, token_bytes: Callable[[int], bytes], is_end: Callable[[int], bool], fits: TokenFilter
    ) -> None:
        self.grammar = grammar
        self.fits = fits
        self._token_bytes = token_bytes
        self._is_end = is_end

    def allows(self, token: int) -> bool:
        """Whether the answer can go on, or end, with this token."""
        return self.grammar.may_end if self._is_end(token) else self.grammar.allows(self._token_bytes(token))

    def accept(self, token: int) -> None:
        """The answer went on with this token."""
        if not self._is_end(token):
            self.grammar.accept(self._token_bytes(token))


def grammar_of(sampling: Sampling) -> Grammar | None:
    """The grammar that is asked for, if one is."""
    if sampling.json_schema:
        return Grammar(schema_to_gbnf(sampling.json_schema))
    return Grammar(sampling.grammar) if sampling.grammar else None


class Chooser:
    """Chooses one token after another; a context manager, because llama.cpp's samplers must be freed.

    The order is: logit bias, penalties, grammar, top_k, top_p, min_p, temperature. As in llama.cpp's own programs, a
    token is drawn first, and only when the grammar refuses it, from those that the grammar may allow.

    Raises:
        HomeEditError: with exit code USAGE, a value of ``sampling`` is not allowed.
    """

    def __init__(
        self, llama: Any, size: int, sampling: Sampling, *, prompt: Sequence[int] = (), guide: Guide | None = None
    ) -> None:
        sampling.check()
        if any(not 0 <= token < size for token in sampling.logit_bias):
            raise HomeEditError(f"logit_bias: the model's tokens are 0 to {size - 1}.", "", USAGE)
        self._llama, self._size, self._guide = llama, size, guide
        self._chains: list[Any] = []
        self._adjust = self._adjusting(sampling, prompt)
        self._draw = self._drawing(sampling) if sampling.temperature >= _COLDEST else None
        self._tokens = np.arange(size, dtype=np.int32)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for chain in self._chains:
            self._llama.llama_sampler_free(chain)
        self._chains.clear()

    def choose(self, logits: NDArray[np.float32]) -> int | None:
        """The next token [vocabulary → one]; None when the grammar can only end here."""
        guide = self._guide
        if guide is not None and guide.grammar.must_end:
            return None
        if self._adjust is not None:
            logits = self._adjusted(logits)
        token = self._pick(logits)
        if guide is not None and not guide.allows(token):
            found = self._pick_allowed(guide, logits)
            if found is None:
                return None
            token = found
        if guide is not None:
            guide.accept(token)
        if self._adjust is not None:
            self._llama.llama_sampler_accept(self._adjust, token)
        return token

    def _pick_allowed(self, guide: Guide, logits: NDArray[np.float32]) -> int | None:
        left = np.where(guide.fits(guide.grammar), logits, np.float32(-np.inf))
        while left.max() > -np.inf:
            token = self._pick(left)
            if guide.allows(token):
                return token
            left[token] = -np.inf
        return None

    def _pick(self, logits: NDArray[np.float32]) -> int:
        if self._draw is None:
            return int(logits.argmax())
        candidates = self._candidates(logits)
        array = self._apply(self._draw, candidates)
        return int(array.data[array.selected].id)

    def _adjusted(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits with bias and penalties."""
        candidates = self._candidates(logits)
        self._apply(self._adjust, candidates)
        adjusted = np.empty_like(logits)
        adjusted[candidates["id"]] = candidates["logit"]
        return adjusted

    def _candidates(self, logits: NDArray[np.float32]) -> NDArray[np.void]:
        candidates = np.zeros(self._size, _CANDIDATE)
        candidates["id"] = self._tokens
        candidates["logit"] = logits
        return candidates

    def _apply(self, chain: Any, candidates: NDArray[np.void]) -> Any:
        data = candidates.ctypes.data_as(ctypes.POINTER(self._llama.llama_token_data))
        array = self._llama.llama_token_data_array(data, self._size, -1, False)
        self._llama.llama_sampler_apply(chain, ctypes.byref(array))
        return array

    def _adjusting(self, sampling: Sampling, prompt: Sequence[int]) -> Any:
        llama, samplers = self._llama, []
        if sampling.logit_bias:
            biases = [llama.llama_logit_bias(token, bias) for token, bias in sampling.logit_bias.items()]
            array = (llama.llama_logit_bias * len(biases))(*biases)
            samplers.append(llama.llama_sampler_init_logit_bias(self._size, len(biases), array))
        penalties = (sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty)
        if penalties != (1, 0, 0) and sampling.penalty_window:
            samplers.append(llama.llama_sampler_init_penalties(self._size, sampling.penalty_window, *penalties))
        if not samplers:
            return None
        chain = self._chain(samplers)
        for token in prompt[-sampling.penalty_window :]:
            llama.llama_sampler_accept(chain, token)
        return chain

    def _drawing(self, sampling: Sampling) -> Any:
        llama, samplers = self._llama, []
        if sampling.top_k:
            samplers.append(llama.llama_sampler_init_top_k(sampling.top_k))
        if sampling.top_p < 1:
            samplers.append(llama.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0:
            samplers.append(llama.llama_sampler_init_min_p(sampling.min_p, 1))
        samplers.append(llama.llama_sampler_init_temp(sampling.temperature))
        # The highest number means a random seed to llama.cpp.
        samplers.append(llama.llama_sampler_init_dist(sampling.seed % (2**32 - 1)))
        return self._chain(samplers)

    def _chain(self, samplers: Sequence[Any]) -> Any:
        chain = self._llama.llama_sampler_chain_init(self._llama.llama_sampler_chain_default_params())
        self._chains.append(chain)
        for sampler in samplers:
            self._llama.llama_sampler_chain_add(chain, sampler)
        return chain
