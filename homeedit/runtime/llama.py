"""llama.cpp as homeedit asks it: one model, one conversation at a time, greedy unless told otherwise."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from homeedit.base.llama_log import llama_library
from homeedit.errors import HomeEditError
from homeedit.runtime.chat import ChatFormat
from homeedit.runtime.choosing import Chooser, Guide, grammar_of
from homeedit.runtime.grammar import TokenFilter
from homeedit.runtime.loaded import ALL_LAYERS, Check, FloatArray, LoadedModel, ModelMetadata, go_on
from homeedit.runtime.sampling import GREEDY, Sampled, Sampling
from homeedit.runtime.vocabulary import Vocabulary

__all__ = ["ModelMetadata", "Runtime", "log_softmax", "silence_llama_log"]


def silence_llama_log() -> None:
    """Stop llama.cpp's talk on stderr, for this process."""
    llama_library()


def log_softmax(logits: FloatArray) -> FloatArray:
    """Log-probabilities along the last axis, float32, shape as given."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), dtype=np.float32)


class Runtime(LoadedModel):
    """A loaded model that is asked. Not for use by several threads at once; close it, or use ``with``.

    What an answer is depends on its prompt alone, not on what was asked before, to the last bit: prompts are
    evaluated in pieces, only whole pieces are kept between questions, and a change of adapter drops them.

    Raises:
        HomeEditError: the file is missing, truncated, not loadable or has no chat template; or the adapter
            does not fit.
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
        super().__init__(
            gguf, threads=threads, context=context, gpu_layers=gpu_layers, adapter=adapter, vocabulary=vocabulary
        )
        try:
            self._format = self._chat_format()
        except BaseException:
            self.close()
            raise

    def chat(self, question: str, *, max_tokens: int = 48, guess: str = "") -> str:
        """The greedy answer to one question, up to where the model ends its turn or ``max_tokens``.

        ``guess`` is an answer that it may well give: whether it does is found by reading it once, several times
        quicker than speaking it.

        Raises:
            HomeEditError: the question does not fit into the context.
        """
        prompt = self.chat_tokens(question)
        if guess and self._would_say(prompt, self.tokens(guess), max_tokens):
            return guess
        return self.text(self.generate_tokens(prompt, max_tokens))

    def _would_say(self, prompt: Sequence[int], answer: Sequence[int], max_tokens: int) -> bool:
        """Whether greedy decoding would say just these tokens: at each the likeliest one, and then the end, of its
        own or by ``max_tokens``."""
        if not 0 < len(answer) <= max_tokens or len(prompt) + len(answer) >= self.context:
            return False
        # What follows the last token is expected at its own position, so one more is read; which one is no matter.
        expected = self._answer_logits(prompt, [*answer, answer[-1]]).argmax(axis=1)
        ends = len(answer) == max_tokens or self.is_end(int(expected[-1]))
        return ends and [int(token) for token in expected[:-1]] == list(answer)

    def chat_tokens(self, question: str) -> list[int]:
        """Token ids of the question as one user turn, ready for the answer; see ``ChatFormat``."""
        return self._format.tokens(question)

    def conversation(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> list[list[int]]:
        """Token ids of a conversation, ready for the answer, in pieces for ``stream``; see ``ChatFormat``.

        ``messages`` and ``tools`` in Hugging Face's form. One user turn gives the ids of ``chat_tokens``.

        Raises:
            HomeEditError: the model's template refuses the conversation.
        """
        return self._format.conversation(messages, tools)

    @property
    def supports_tools(self) -> bool:
        """Whether the model's chat template has a place for tools."""
        return self._format.supports_tools

    def continuation(self, text: str) -> list[list[int]]:
        """Token ids of a text to continue as it is, in pieces for ``stream``: with the beginning-of-text token if the
        model uses one; what spells a special token stays text."""
        return [[*self.vocabulary.start(), *self.tokens(text)]]

    def warm(self) -> None:
        """Read one token for nobody, so that the first client need not wait for the file to be read.

        No more than that, because it is taken from those who are answered meanwhile. On one core, whatever thread
        calls this: OpenMP keeps a team of threads for each thread that ever computed on several, and when the teams
        together have more threads than there are cores, all of them wait by sleeping, which makes each answer take
        four times as long (measured: 147 tokens a second, 39 with a second team).
        """
        self._forget()
        threads = self._threads
        self.use_threads(1)
        try:
            self._decode([0], 0, wanted=1)
        finally:
            self._forget()
            self.use_threads(threads)

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
        with closing(self.stream(self._pieces(prompt_tokens, 1), max_tokens=max_tokens)) as stream:
            for sampled in stream:
                yield sampled.token

    def stream(
        self,
        pieces: Sequence[Sequence[int]],
        sampling: Sampling = GREEDY,
        *,
        max_tokens: int,
        top_logprobs: int | None = None,
        check: Check = go_on,
    ) -> Generator[Sampled, None, None]:
        """The model's answer token by token, without the one that ends it; closing the generator stops.

        Whole pieces that the prompt before began with are not evaluated again (``cached_tokens``). It ends when the
        model does, after ``max_tokens``, or when the context is full. Until it has ended or was closed, nothing
        else may be asked of this model.

        ``check`` is called now and then while the prompt is read (every 512 tokens), and may raise to end that.
        ``top_logprobs``: None for no log-probabilities, 0 for those of the chosen tokens, n for the n likeliest too.

        Raises:
            HomeEditError: on the first step. Values or grammar are not allowed (exit code USAGE); the prompt is
                empty or does not fit.
        """
        prompt = [token for piece in pieces for token in piece]
        begin = len(prompt)
        self._check_length(begin + 1)
        with Chooser(
            self._llama, self.vocabulary.size, sampling, prompt=prompt, guide=self._guide(sampling)
        ) as chooser:
            logits = self._evaluate(pieces, 1, check)[-1]
            end = begin + min(max_tokens, self.context - begin)
            for position in range(begin, end):
                token = chooser.choose(logits)
                if token is None or self.is_end(token):
                    return
                yield Sampled(token) if top_logprobs is None else _sampled(token, logits, top_logprobs)
                if position + 1 < end:
                    logits = self._decode([token], position, wanted=1)[-1]

    def answer_logprobs(
        self, prompt_tokens: Sequence[int], answer_tokens: Sequence[int], *, again: bool = False
    ) -> FloatArray:
        """Log-probabilities at every position of a given answer: float32 [n_answer, vocabulary].

        Row i is what the model expects after the prompt and the first i answer tokens. ``again``: more answers to
        this prompt are to come; it is then a piece of its own, and evaluated once for all of them.

        Raises:
            HomeEditError: the prompt or answer is empty, or together they do not fit into the context.
        """
        return log_softmax(self._answer_logits(prompt_tokens, answer_tokens, again))

    def _answer_logits(
        self, prompt_tokens: Sequence[int], answer_tokens: Sequence[int], again: bool = False
    ) -> FloatArray:
        """What ``answer_logprobs`` makes log-probabilities of."""
        if not answer_tokens:
            raise HomeEditError("There is no answer to score.")
        tokens = [*prompt_tokens, *answer_tokens[:-1]]
        self._check_length(len(tokens))
        before = len(prompt_tokens) - 1
        pieces = [tokens[:before], tokens[before:]] if again else self._pieces(tokens, len(answer_tokens))
        return self._evaluate(pieces, wanted=len(answer_tokens))

    def perplexity(self, text: str, window: int = 512) -> float:
        """exp of the mean negative log-likelihood per token, over windows of ``window`` tokens.

        Windows do not overlap; the first token of each is given, not scored (or the beginning-of-text token,
        if the model uses one).

        Raises:
            HomeEditError: the text has fewer than two tokens, or the window does not fit into the context.
        """
        self._check_length(window)
        tokens, start = self.tokens(text), self.vocabulary.start()
        step = max(1, window - len(start))
        total, count = 0.0, 0
        for at in range(0, len(tokens), step):
            piece = [*start, *tokens[at : at + step]]
            if len(piece) < 2:
                continue
            wanted = len(piece) - 1
            logits = self._evaluate(self._pieces(piece[:-1], wanted), wanted)
            for row, token in zip(logits, piece[1:], strict=True):
                total += _negative_log_likelihood(row, token)
            count += wanted
        if count == 0:
            raise HomeEditError("The text is too short to measure perplexity on (it needs two tokens).")
        return float(np.exp(total / count))

    def _pieces(self, tokens: Sequence[int], wanted: int) -> list[Sequence[int]]:
        """``tokens`` as a chat turn's pieces, if they are one and all wanted positions lie behind the first."""
        prefix = self._format.prefix
        shared = len(prefix)
        if 0 < shared <= len(tokens) - wanted and tuple(tokens[:shared]) == prefix:
            return [prefix, tokens[shared:]]
        return [tokens]

    def _guide(self, sampling: Sampling) -> Guide | None:
        grammar = grammar_of(sampling)
        return None if grammar is None else Guide(grammar, self.token_bytes, self.is_end, self._token_filter)

    @cached_property
    def _token_filter(self) -> TokenFilter:
        """Takes a moment (every token's text is looked up), so it is made when a grammar is first asked for."""
        return TokenFilter(self.vocabulary.size, self.token_bytes, self.is_end)

    def _chat_format(self) -> ChatFormat:
        template = self._template_text()
        if not template:
            raise HomeEditError(
                f"{self.gguf.name} has no chat template, so it cannot be asked questions.",
                "Use an instruction-tuned model.",
            )
        return ChatFormat(
            template,
            bos=self.vocabulary.begin_text,
            eos=self.vocabulary.end_text,
            tokenize=self.tokens,
            specials=self.vocabulary.specials,
        )


def _sampled(token: int, logits: FloatArray, count: int) -> Sampled:
    """The token with its log-probability and those of the ``count`` likeliest ones."""
    logprobs = log_softmax(logits)
    count = min(count, len(logprobs))
    likeliest = np.argpartition(-logprobs, count - 1)[:count] if count else np.empty(0, np.int64)
    # Equally likely tokens in the order of their ids, so that the same answer is always described in the same words.
    best = sorted(((int(each), float(logprobs[each])) for each in likeliest), key=lambda pair: (-pair[1], pair[0]))
    return Sampled(token, float(logprobs[token]), tuple(best))


def _negative_log_likelihood(row: FloatArray, token: int) -> float:
    """-log p(token) in nats, under one row of logits [vocabulary]."""
    top = float(row.max())
    return top + float(np.log(np.exp(row - top).sum(dtype=np.float64))) - float(row[token])
