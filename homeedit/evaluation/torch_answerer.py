"""The Answerer over a model in PyTorch: batched, greedy, each beginning that prompts share run once.

Prompts are sorted by length and put into batches of a bounded number of places. Scores are read in one pass over the
continuations, on top of the cache of their prompts, so that five options of one question cost its prompt once; the
vocabulary-wide work is done for a few positions at a time and only where a token is scored.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from homeedit.base.load import load_model, load_tokenizer
from homeedit.base.store import BaseModel
from homeedit.editing.devices import working_dtype
from homeedit.editing.generation import Beginning, continue_prompts, shared_beginning
from homeedit.editing.memory import use_threads
from homeedit.editing.requests import ChatTokens
from homeedit.errors import HomeEditError
from homeedit.evaluation.answerer import Answered, Prompt, Scored
from homeedit.evaluation.expectations import FloatArray
from homeedit.evaluation.spelling import joined, messages, plain_text
from homeedit.progress import Progress
from homeedit.runtime.chat import ChatFormat

MOST_PLACES = 8192
"""Tokens, padding included, whose keys and values a batch holds (SmolLM2 in float32: 380 MB)."""
MOST_ROWS = 64
MOST_OPTIONS = 32
"""Continuations of one prompt that are scored together."""
POSITIONS_AT_ONCE = 128
"""Rows of logits, [vocabulary] float32 each, that are held at once (SmolLM2: 25 MB)."""


def load_answerer(
    base: BaseModel, *, device: str, threads: int, progress: Progress, dtype: torch.dtype | None = None
) -> "TorchAnswerer":
    """The unchanged base model as an Answerer, in the dtype compiles run in (bfloat16 where the processor computes in
    it, else float32) unless another is asked for.

    What bfloat16 costs on SmolLM2 (200 HellaSwag endings): log-probabilities .014 nats a token beside float32's (root
    mean square, no bias), 45 for 46 of 100 questions right, in a quarter of the time. Most of it comes from the
    layers: a float32 head would leave .012.

    Raises:
        HomeEditError: the fp16 copy cannot be loaded.
    """
    use_threads(threads)
    model = load_model(base, device, dtype or working_dtype(device))
    return TorchAnswerer(model, load_tokenizer(base), progress=progress)


@dataclass(frozen=True, slots=True)
class _Group:
    """A prompt's tokens and the continuations to be scored after it: (place among the results, tokens)."""

    prompt: tuple[int, ...]
    continuations: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest continuation."""
        return max(len(tokens) for _, tokens in self.continuations)


class TorchAnswerer:
    """A transformers model and its tokenizer, asked as ``Answerer`` says. Its stages are told to ``progress``.

    The chat's tokens are those of what homeedit serves: the tokenizer's own template, in which text that spells a
    special token stays text. An answer ends at the first special token. The model's weights are read only.

    Raises:
        HomeEditError: the tokenizer has no chat template; later, a text is longer than the model's context.
    """

    def __init__(self, model: Any, tokenizer: Any, *, progress: Progress) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.context = int(model.config.max_position_embeddings)
        """Tokens that the model was made for."""
        self._progress = progress
        self._format = _chat_format(tokenizer)
        self._end = ChatTokens(tokenizer).end[0]
        self._ends = {self._end, *tokenizer.all_special_ids}
        self._start: list[int] = tokenizer.encode("")
        """The beginning-of-text token, if the tokenizer puts one before a text."""

    def answer(self, prompts: Sequence[Prompt], *, most_tokens: int = 48) -> list[Answered]:
        """Answer in a chat, greedily, to the natural end or ``most_tokens``; without white space at the ends."""
        return self._continue([self.chat_tokens(prompt) for prompt in prompts], most_tokens, "answers")

    def complete(self, prompts: Sequence[Prompt], *, most_tokens: int) -> list[Answered]:
        """Continue plain text, greedily, as ``answer`` does; without white space at the ends."""
        texts = [[*self._start, *self._encode(plain_text(prompt))] for prompt in prompts]
        if not all(texts):
            raise HomeEditError("There is no text to continue: the prompt is empty.")
        return self._continue(texts, most_tokens, "continuations")

    def score(self, pairs: Sequence[tuple[Prompt, str]], *, chat: bool = False) -> list[Scored]:
        """Score continuations of plain text, or answers in a chat (without the end of the turn).

        Plain text is split into tokens together with its prompt. Where a token spans both, it counts as the
        continuation's: every letter of the continuation is scored, and with that token the prompt's last letters.
        The first token of all has nothing before it and is not scored.
        """
        spelled = [self._spelled(prompt, continuation, chat) for prompt, continuation in pairs]
        self._progress.stage("scores", len(pairs))
        found = [Scored(0.0, 0, 0)] * len(pairs)
        for places, states, wanted in self._states(spelled):
            logprobs, greedy = self._scores(states, torch.cat(wanted))
            at = 0
            for place, tokens in zip(places, wanted, strict=True):
                span = slice(at, at + len(tokens))
                total = float(logprobs[span].double().sum())
                found[place] = Scored(total, len(tokens), int(greedy[span].sum()))
                at += len(tokens)
            self._progress.advance(len(places))
        return found

    def expectations(self, pairs: Sequence[tuple[Prompt, str]]) -> Iterator[FloatArray]:
        """What is expected at each token of answers in a chat; see ``Expecting``. Memory: one answer's at a time."""
        for prompt, answer in pairs:
            found = torch.empty(0, self.model.config.vocab_size)
            for _, states, _ in self._states([self._spelled(prompt, answer, chat=True)]):
                found = self._logits(states).log_softmax(-1).cpu()
            yield found.numpy()

    def chat_tokens(self, prompt: Prompt) -> list[int]:
        """Tokens of a prompt in a chat, up to where the answer begins."""
        return [token for piece in self._format.conversation(messages(prompt)) for token in piece]

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)  # type: ignore[no-any-return]

    def _spelled(self, prompt: Prompt, continuation: str, chat: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Tokens of a prompt (at least one) and of its continuation (perhaps none)."""
        if chat:
            return tuple(self.chat_tokens(prompt)), tuple(self._encode(continuation))
        text, boundary = joined(prompt, continuation)
        found = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        inside = sum(end <= boundary for _, end in found["offset_mapping"])
        ids = [*self._start, *found["input_ids"]]
        split = max(1, len(self._start) + inside)
        return tuple(ids[:split]), tuple(ids[split:])

    def _continue(self, prompts: Sequence[Sequence[int]], most_tokens: int, stage: str) -> list[Answered]:
        self._progress.stage(stage, len(prompts))
        if not prompts:
            return []
        longest = max(map(len, prompts))
        self._check_length(longest + 1)
        began = time.perf_counter()
        beginning = shared_beginning(self.model, prompts)
        share = (time.perf_counter() - began) / len(prompts)
        length = min(most_tokens, self.context - longest)
        found: dict[int, Answered] = {}
        for batch in _batches([(len(prompt) + length, 1) for prompt in prompts]):
            began = time.perf_counter()
            chosen = [prompts[index] for index in batch]
            check = self._progress.check
            written = continue_prompts(self.model, chosen, length, self._end, check, beginning=beginning)
            seconds = (time.perf_counter() - began) / len(batch) + share
            for index, tokens in zip(batch, written, strict=True):
                found[index] = Answered(self._said(tokens), len(prompts[index]), len(tokens), seconds)
            self._progress.advance(len(batch))
        return [found[index] for index in range(len(prompts))]

    def _said(self, tokens: Sequence[int]) -> str:
        """The text up to the first special token."""
        end = next((at for at, token in enumerate(tokens) if token in self._ends), len(tokens))
        return str(self.tokenizer.decode(tokens[:end])).strip()

    def _states(
        self, spelled: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
    ) -> Iterator[tuple[list[int], Tensor, list[Tensor]]]:
        """Batch by batch: places in ``spelled``, the hidden states [n, d_model] that expect all their continuations'
        tokens, one after another, and these tokens. Empty continuations are left out."""
        groups = _grouped(spelled)
        if not groups:
            return
        self._check_length(max(len(group.prompt) + group.longest for group in groups))
        beginning = shared_beginning(self.model, [group.prompt for group in groups])
        sizes = [(len(group.prompt) + group.longest, len(group.continuations)) for group in groups]
        for batch in _batches(sizes):
            self._progress.check()
            chosen = [groups[index] for index in batch]
            rows = [(place, torch.tensor(tokens)) for group in chosen for place, tokens in group.continuations]
            yield [place for place, _ in rows], self._expecting(chosen, beginning), [tokens for _, tokens in rows]

    def _expecting(self, groups: Sequence[_Group], beginning: Beginning) -> Tensor:
        """Hidden states [n, d_model] before each token of the groups' continuations, one after another."""
        shared = len(beginning.ids)
        given = [torch.tensor(group.prompt[shared:-1], dtype=torch.long) for group in groups]
        mask = torch.cat([torch.ones(len(groups), shared), _padded([torch.ones(len(ids)) for ids in given], "left")], 1)
        cache = beginning.cache_of(len(groups))
        if mask.shape[1] > shared:
            self._run(_padded(given, "left"), mask, cache)
        owner = [index for index, group in enumerate(groups) for _ in group.continuations]
        cache.batch_select_indices(torch.tensor(owner, device=self._device))
        # Each row is read from the prompt's last token on, which expects the continuation's first.
        rows = [torch.tensor((group.prompt[-1], *ids[:-1])) for group in groups for _, ids in group.continuations]
        inside = _padded([torch.ones(len(ids)) for ids in rows], "right")
        states = self._run(_padded(rows, "right"), torch.cat([mask[owner], inside], 1), cache)
        chosen: Tensor = states[inside.bool().to(self._device)]
        return chosen

    def _run(self, ids: Tensor, mask: Tensor, cache: Any) -> Tensor:
        """Normed hidden states [rows, length, d_model] of ``ids`` after a cache; ``mask`` covers both."""
        mask = mask.long()
        positions = (mask.cumsum(1) - 1).clamp_min(0)[:, -ids.shape[1] :]
        with torch.no_grad():
            states: Tensor = self.model.model(
                input_ids=ids.to(self._device),
                attention_mask=mask.to(self._device),
                position_ids=positions.to(self._device),
                past_key_values=cache,
            ).last_hidden_state
        return states

    def _scores(self, states: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of the wanted tokens, float32 [n], and whether each is the likeliest, bool [n]."""
        logprobs, greedy = [], []
        for at in range(0, len(wanted), POSITIONS_AT_ONCE):
            span = slice(at, at + POSITIONS_AT_ONCE)
            logits = self._logits(states[span])
            aimed = wanted[span].to(logits.device)
            logprobs.append((logits.gather(1, aimed[:, None])[:, 0] - logits.logsumexp(-1)).cpu())
            greedy.append((logits.argmax(-1) == aimed).cpu())
        return torch.cat(logprobs), torch.cat(greedy)

    def _logits(self, states: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.model.get_output_embeddings()(states)
        return logits.float()

    @property
    def _device(self) -> torch.device:
        device: torch.device = self.model.get_input_embeddings().weight.device
        return device

    def _check_length(self, count: int) -> None:
        if count > self.context:
            raise HomeEditError(
                f"The text has {count} tokens; the model's context holds {self.context}.",
                "Measure with fewer facts in the prompt, or with shorter texts.",
            )


def _chat_format(tokenizer: Any) -> ChatFormat:
    if not tokenizer.chat_template:
        raise HomeEditError(
            "The model has no chat template, so it cannot be asked questions.", "Use an instruction-tuned model."
        )
    return ChatFormat(
        tokenizer.chat_template,
        bos=tokenizer.bos_token or "",
        eos=tokenizer.eos_token or "",
        tokenize=lambda text: tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True),
        specials={str(token): number for number, token in tokenizer.added_tokens_decoder.items() if token.special},
    )


def _grouped(spelled: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[_Group]:
    """Continuations of the same prompt together, at most ``MOST_OPTIONS``; empty ones are left out."""
    found: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
    for place, (prompt, continuation) in enumerate(spelled):
        if continuation:
            found.setdefault(prompt, []).append((place, continuation))
    return [
        _Group(prompt, tuple(rows[at : at + MOST_OPTIONS]))
        for prompt, rows in found.items()
        for at in range(0, len(rows), MOST_OPTIONS)
    ]


def _batches(sizes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Indices of (tokens a row, rows) in batches: similar lengths together, the longest first, each within
    ``MOST_PLACES`` and ``MOST_ROWS`` or of one alone."""
    batches: list[list[int]] = []
    rows = width = 0
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index][0]):
        length, more = sizes[index]
        if batches and rows + more <= MOST_ROWS and (rows + more) * width <= MOST_PLACES:
            batches[-1].append(index)
            rows += more
        else:
            batches.append([index])
            rows, width = more, length
    return batches


def _padded(rows: list[Tensor], side: str) -> Tensor:
    """Rows as one tensor [rows, longest], zeros on one side."""
    return pad_sequence(rows, batch_first=True, padding_side=side)
