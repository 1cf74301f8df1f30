"""Locality: whether answers that have nothing to do with the facts stayed what they were.

24 general questions are asked of the base GGUF once; its answers and what it expected at every token of them
are kept beside it. A build then only reads those answers (one batch a question) and speaks itself where it
would have said something else.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from homeedit.base.store import BaseModel
from homeedit.errors import HomeEditError
from homeedit.patches.container import replace_file
from homeedit.progress import Progress
from homeedit.runtime.llama import Runtime
from homeedit.runtime.loaded import ALL_LAYERS
from homeedit.verify.recall import mentions

MOST_TOKENS = 24
"""Length of an answer."""

KEPT_TOKENS = 1024
"""Tokens whose probabilities are kept per position; the rest of the vocabulary counts as one."""

FIRM = 0.25
"""Nats by which each token of an answer, up to its expected word, must be ahead of the next likeliest for the answer to
count as firm. What the base says by a hair ("The sky … a deep blue" by less than .01) any change of it may turn, and
says little of what the change disturbs: of SmolLM2's 22 right answers 11 are firm. (As it came, at Q4_1, 13 of 23;
of six builds with 25 to 100 facts three had lost one of these, and up to three of the other ten.)"""

_VERSION = 2

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Question:
    """A general question and the words, or beginnings of words, of which a right answer has one."""

    ask: str
    expect: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BaseAnswer:
    """What the base said to one question, and what it expected at each of its n tokens.

    ``firm``: it is right, and was not said by a hair (``FIRM``). ``likely`` int32 [n, k]: the k most probable tokens;
    ``logprobs`` float32 [n, k]: their log-probabilities.
    """

    tokens: tuple[int, ...]
    firm: bool
    likely: NDArray[np.int32]
    logprobs: FloatArray


@dataclass(frozen=True, slots=True)
class Locality:
    """``kl``: KL(base ‖ build) in nats per token of the base's own answers; ``kept`` of ``asked``: how many of
    the answers that the base firmly got right are still right."""

    kl: float
    kept: int
    asked: int


def unrelated_questions() -> tuple[Question, ...]:
    """The shipped questions, from unrelated.jsonl."""
    lines = _question_file().decode("utf-8").splitlines()
    return tuple(
        Question(item["ask"], tuple(item["expect"])) for item in (json.loads(line) for line in lines if line.strip())
    )


def base_answers(base: BaseModel, open_runtime: Callable[[], Runtime], progress: Progress) -> tuple[BaseAnswer, ...]:
    """The base GGUF's answers, from ``models/<name>/locality.npz`` or, the first time, by asking it.

    ``open_runtime`` loads the base GGUF; it is called only when asking is needed. About 3 MB are kept, under
    a key of the base model and the questions; a file with another key, or damaged, is made anew.
    """
    path, key = base.folder / "locality.npz", _key(base)
    kept = _load(path, key)
    if kept is not None:
        return kept
    with open_runtime() as runtime:
        answers = ask_base(runtime, unrelated_questions(), progress)
    _store(path, key, answers)
    return answers


def ask_base(runtime: Runtime, questions: tuple[Question, ...], progress: Progress) -> tuple[BaseAnswer, ...]:
    """Let the base answer, greedily, at most ``MOST_TOKENS`` tokens each, and note what it expected."""
    progress.stage("ask the base model", len(questions))
    answers = []
    for question in questions:
        prompt = runtime.chat_tokens(question.ask)
        tokens = runtime.generate_tokens(prompt, MOST_TOKENS)
        if tokens:
            found = runtime.answer_logprobs(prompt, tokens)
            firm = _is_firm(runtime, tokens, found, question)
            likely, logprobs = most_likely(found, KEPT_TOKENS)
        else:
            firm, likely, logprobs = False, np.zeros((0, 1), np.int32), np.zeros((0, 1), np.float32)
        answers.append(BaseAnswer(tuple(tokens), firm, likely, logprobs))
        progress.advance()
    return tuple(answers)


def _is_firm(runtime: Runtime, tokens: Sequence[int], logprobs: FloatArray, question: Question) -> bool:
    """Whether a right answer's tokens are ahead of the next likeliest ones by ``FIRM``, up to the expected word."""
    for count in range(1, len(tokens) + 1):
        token, row = tokens[count - 1], logprobs[count - 1]
        if row[token] - np.delete(row, token).max() < FIRM:
            return False
        if mentions(runtime.text(tokens[:count]), question.expect):
            return mentions(runtime.text(tokens), question.expect)
    return False


def measure(
    base: BaseModel,
    runtime: Runtime,
    progress: Progress,
    *,
    threads: int,
    context: int = 2048,
    gpu_layers: int = ALL_LAYERS,
) -> Locality:
    """Compare a build (``runtime``) with its base model, whose answers are kept after the first time.

    ``threads``, ``context`` and ``gpu_layers`` are for loading the base GGUF when it must be asked. On SmolLM2: about
    5 s on one thread, and 10 s more the first time.
    """

    def open_base_runtime() -> Runtime:
        return Runtime(base.gguf, threads=threads, context=context, gpu_layers=gpu_layers)

    return compare(base_answers(base, open_base_runtime, progress), runtime, progress)


def compare(
    answers: tuple[BaseAnswer, ...],
    runtime: Runtime,
    progress: Progress,
    questions: tuple[Question, ...] | None = None,
) -> Locality:
    """Compare a build with the base's ``answers`` to ``questions`` (the shipped ones when not given).

    A build that would say the base's tokens up to the expected word is right without being asked; where it
    would have said something else before, it is asked. Only questions that the base answered firmly count for
    ``kept``. Raises Cancelled between questions.
    """
    asked_questions = unrelated_questions() if questions is None else questions
    if len(asked_questions) != len(answers):
        raise HomeEditError("The base model's answers belong to other questions.", "Verify again.")
    progress.stage("other answers", len(answers))
    divergence, positions, kept = 0.0, 0, 0
    for question, answer in zip(asked_questions, answers, strict=True):
        shared = 0
        if answer.tokens:
            found = runtime.answer_logprobs(runtime.chat_tokens(question.ask), answer.tokens)
            divergence += float(np.sum(kl_of_likely(answer.likely, answer.logprobs, found)))
            positions += len(answer.tokens)
            shared = _agreed(found, answer.tokens)
        if answer.firm:
            kept += _still_right(runtime, question, answer, shared)
        progress.advance()
    return Locality(kl=divergence / max(1, positions), kept=kept, asked=sum(answer.firm for answer in answers))


def _agreed(logprobs: FloatArray, tokens: tuple[int, ...]) -> int:
    """How many of the first tokens the model would have said itself."""
    differs = logprobs.argmax(axis=1) != np.asarray(tokens)
    return int(differs.argmax()) if differs.any() else len(tokens)


def _still_right(runtime: Runtime, question: Question, answer: BaseAnswer, shared: int) -> bool:
    """Whether a build that would say the first ``shared`` tokens of the base's right answer is right too."""
    said = answer.tokens[:shared]
    if shared == len(answer.tokens) or mentions(runtime.text(said), question.expect):
        return True
    # What it would have said so far need not be spoken again.
    spoken = runtime.generate_tokens([*runtime.chat_tokens(question.ask), *said], MOST_TOKENS - shared)
    return mentions(runtime.text([*said, *spoken]), question.expect)


def most_likely(logprobs: FloatArray, count: int) -> tuple[NDArray[np.int32], FloatArray]:
    """The ``count`` most probable tokens per row of [n, vocabulary], in order of token id, and their values."""
    count = min(count, logprobs.shape[1])
    likely = np.sort(np.argpartition(-logprobs, count - 1, axis=1)[:, :count], axis=1)
    return likely.astype(np.int32), np.take_along_axis(logprobs, likely, axis=1)


def kl_of_likely(
    likely: NDArray[np.int32], base_logprobs: FloatArray, build_logprobs: FloatArray
) -> NDArray[np.float64]:
    """KL(base ‖ build) in nats per row, over the base's k likely tokens and the rest of the vocabulary as one.

    ``likely`` and ``base_logprobs`` [n, k], ``build_logprobs`` [n, vocabulary]. Never above the KL over the
    whole vocabulary (merging outcomes cannot raise it); on SmolLM2 within 1 % of it.
    """
    base = base_logprobs.astype(np.float64)
    build = np.take_along_axis(build_logprobs, likely.astype(np.int64), axis=1).astype(np.float64)
    inside = np.sum(np.exp(base) * (base - build), axis=1)
    if likely.shape[1] == build_logprobs.shape[1]:
        return np.asarray(inside)
    # Probabilities too small for float32's rounding to leave anything of them are not resolved.
    base_rest = np.maximum(1.0 - np.exp(base).sum(axis=1), 1e-6)
    build_rest = np.maximum(1.0 - np.exp(build).sum(axis=1), 1e-6)
    return np.asarray(inside + base_rest * np.log(base_rest / build_rest))


def _question_file() -> bytes:
    return files("homeedit.verify").joinpath("unrelated.jsonl").read_bytes()


def _key(base: BaseModel) -> str:
    digest = hashlib.sha256(_question_file()).hexdigest()
    settings = f"{_VERSION} {MOST_TOKENS} {KEPT_TOKENS} {FIRM}"
    return f"{settings} {base.fingerprint} {os.stat(base.gguf).st_size} {digest}"


def _store(path: Path, key: str, answers: tuple[BaseAnswer, ...]) -> None:
    arrays: dict[str, NDArray[np.generic]] = {"key": np.array(key)}
    for number, answer in enumerate(answers):
        arrays[f"tokens{number}"] = np.asarray(answer.tokens, dtype=np.int32)
        arrays[f"firm{number}"] = np.asarray(answer.firm)
        arrays[f"likely{number}"] = answer.likely
        arrays[f"logprobs{number}"] = answer.logprobs
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    replace_file(path, buffer.getvalue())


def _load(path: Path, key: str) -> tuple[BaseAnswer, ...] | None:
    """The kept answers; None when there are none, they have another key, or the file is damaged."""
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept["key"]) != key:
                return None
            return tuple(
                BaseAnswer(
                    tokens=tuple(int(token) for token in kept[f"tokens{number}"]),
                    firm=bool(kept[f"firm{number}"]),
                    likely=kept[f"likely{number}"],
                    logprobs=kept[f"logprobs{number}"],
                )
                for number in range(len(unrelated_questions()))
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
