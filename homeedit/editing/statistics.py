"""Preserved knowledge: what the edited layers' keys look like on text that must not change.

When there is no corpus the model writes its own: answers to generic questions and free text, sampled from a
seed. About ten times d_ff tokens give at least 95 % of the quality of large corpora (arXiv 2506.04226).
The uncentered second moment C = mean k kᵀ of each edited layer is stored as its upper triangle in float32:
d_ff (d_ff + 1) / 2 values a layer (4.7 MB at d_ff 1536). Only one layer's C is unpacked at a time by readers.
"""

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from homeedit.base.architecture import architecture_named
from homeedit.base.load import load_model, load_tokenizer
from homeedit.base.store import BaseModel
from homeedit.editing.devices import repeatable, working_dtype
from homeedit.editing.generation import continue_prompts
from homeedit.editing.memory import trim, use_threads
from homeedit.editing.model import Batch, EditableModel
from homeedit.editing.requests import ChatTokens
from homeedit.editing.workers import MOST_WORKERS, workers_on
from homeedit.errors import USAGE, HomeEditError
from homeedit.progress import Progress

FORMAT = "homeedit.statistics.2"
FREE_TOKENS_PER_KEY_DIMENSION = 8
KEPT_ANSWER_LENGTH = 24
TOGETHER = 1024
"""Tokens of texts whose keys are read in one pass."""
LARGEST_CACHE, LARGEST_CACHE_SHARE = 2**30, 0.25
"""Bytes that the attention caches of what is written at once may take: so many, or this share of the weights if that is
more."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """A generic question and the base model's own greedy answer, as tokens."""

    question: str
    answer: tuple[int, ...]


class Statistics:
    """Reader of a statistics file; tensors are read one layer at a time."""

    def __init__(self, file: Path, fingerprint: str) -> None:
        self.file = file
        try:
            with safe_open(file, framework="pt") as opened:
                story = opened.metadata() or {}
        except (OSError, SafetensorError) as error:
            raise HomeEditError(
                f"The statistics of the base model cannot be read ({error}).",
                "Run `homeedit init` to make them again; facts and patches are safe.",
            ) from error
        if story.get("format") != FORMAT or story.get("fingerprint") != fingerprint:
            raise HomeEditError(
                "The statistics belong to another base model or another version of homeedit.",
                "Run `homeedit init` to make them again; facts and patches are safe.",
            )
        self.kept = [KeptAnswer(q, tuple(a)) for q, a in json.loads(story["kept"])]
        self.texts: list[list[int]] = json.loads(story["texts"])
        """Tokens of the free texts that the model wrote."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers whose second moment is there."""
        with safe_open(self.file, framework="pt") as opened:
            return tuple(sorted(int(name.rpartition(".")[2]) for name in opened.keys()))

    def second_moment(self, layer: int) -> Tensor:
        """C of a layer: [d_ff, d_ff] float32, mean over tokens of k kᵀ."""
        with safe_open(self.file, framework="pt") as opened:
            packed = opened.get_tensor(f"second_moment.{layer}")
        return _unpacked(packed)


def have_statistics(base: BaseModel) -> bool:
    """True when the base has readable statistics of this version."""
    if not base.statistics.exists():
        return False
    try:
        Statistics(base.statistics, base.fingerprint)
    except HomeEditError:
        return False
    return True


def make_statistics(base: BaseModel, *, seed: int, device: str, threads: int, progress: Progress) -> None:
    """Sample the model's own text and write ``base.statistics`` (temporary file, then renamed).

    Time: one forward pass per written token (about a minute for 135 million parameters on two cores).
    Memory: the model, attention caches (``LARGEST_CACHE``), d_model values a token, and one layer's d_ff × d_ff sum.
    """
    use_threads(threads)
    progress.stage("loading", None)
    chat = ChatTokens(load_tokenizer(base))
    with repeatable(device):
        raw = load_model(base, device, working_dtype(device))
        statistics_of(base, raw, chat, seed=seed, progress=progress)


def statistics_of(base: BaseModel, raw: Any, chat: ChatTokens, *, seed: int, progress: Progress) -> None:
    """``make_statistics`` with a model that is loaded already; it is left as it was."""
    questions = lines_of("generic_questions.txt")
    progress.stage("keeping answers", len(questions))
    kept = [
        KeptAnswer(question, answer)
        for question, answer in zip(
            questions, greedy_answers(raw, chat, questions, KEPT_ANSWER_LENGTH, progress), strict=True
        )
    ]
    answered = [[*chat.prefix, *chat.question(item.question), *item.answer] for item in kept]
    free = _free_text(raw, base, chat, seed, progress)
    story = {
        "format": FORMAT,
        "fingerprint": base.fingerprint,
        "seed": str(seed),
        "kept": json.dumps([[item.question, list(item.answer)] for item in kept]),
        "texts": json.dumps(free),
    }
    _write_moments(base, raw, base.edited_layers, answered + free, story, base.statistics, progress)


def make_second_moments(
    base: BaseModel, layers: Sequence[int], file: Path, *, device: str, threads: int, progress: Progress
) -> Statistics:
    """Write second moments of other layers than the edited ones to a file, from the same texts, and open it.

    Nothing is sampled again: what ``base.statistics`` keeps of texts and answers goes through the model once
    (SmolLM2, one core: some twenty seconds). Raises HomeEditError when the base has no statistics, or no such layer.
    """
    wrong = [layer for layer in layers if not 0 <= layer < base.layers]
    if wrong or not layers:
        raise HomeEditError(
            f"The model has no layer {wrong[0]}." if wrong else "No layer is named.",
            f"Choose of 0 to {base.layers - 1}.",
            exit_code=USAGE,
        )
    use_threads(threads)
    known = Statistics(base.statistics, base.fingerprint)
    chat = ChatTokens(load_tokenizer(base))
    with repeatable(device):
        raw = load_model(base, device, working_dtype(device))
        moments_of(base, raw, chat, known, layers, file, progress)
    return Statistics(file, base.fingerprint)


def moments_of(
    base: BaseModel,
    raw: Any,
    chat: ChatTokens,
    known: Statistics,
    layers: Sequence[int],
    file: Path,
    progress: Progress,
) -> None:
    """``make_second_moments`` with a model that is loaded already; it is left as it was."""
    answered = [[*chat.prefix, *chat.question(item.question), *item.answer] for item in known.kept]
    chosen = tuple(sorted(set(layers)))
    story = {
        "format": FORMAT,
        "fingerprint": base.fingerprint,
        "kept": json.dumps([[item.question, list(item.answer)] for item in known.kept]),
        "texts": json.dumps(known.texts),
    }
    _write_moments(base, raw, chosen, answered + known.texts, story, file, progress)


def _write_moments(
    base: BaseModel,
    raw: Any,
    layers: Sequence[int],
    texts: list[list[int]],
    story: dict[str, str],
    file: Path,
    progress: Progress,
) -> None:
    model = EditableModel(raw, architecture_named(base.architecture), layers, ())
    try:
        _write(file, layers, base.d_ff, story, _moments(model, texts, base.d_ff, progress))
    finally:
        model.release()


def _free_text(raw: Any, base: BaseModel, chat: ChatTokens, seed: int, progress: Progress) -> list[list[int]]:
    """Texts that the model continued by itself, sampled at temperature 1, as tokens with their beginnings.

    As many at a time as their attention cache may take: see ``LARGEST_CACHE``.
    """
    prompts = [[*chat.start, *chat.encode(opener)[0]] for opener in lines_of("openers.txt")] * 2
    length = math.ceil(FREE_TOKENS_PER_KEY_DIMENSION * base.d_ff / len(prompts))
    longest = length + max(map(len, prompts))
    rows = max(1, _largest_cache(raw) // (longest * cache_bytes(raw)))
    parts = [prompts[at : at + rows] for at in range(0, len(prompts), rows)]
    progress.stage("writing text", length * len(parts))
    generator = torch.Generator().manual_seed(seed)
    found: list[list[int]] = []
    for part in parts:
        texts = continue_prompts(raw, part, length, chat.end[0], progress.advance, generator)
        found += [[*prompt, *text] for prompt, text in zip(part, texts, strict=True)]
    return found


def _largest_cache(raw: Any) -> int:
    weights = sum(weight.numel() * weight.element_size() for weight in raw.parameters())
    return int(max(LARGEST_CACHE, LARGEST_CACHE_SHARE * weights))


def cache_bytes(raw: Any) -> int:
    """Bytes of a transformers model's attention cache for one token."""
    config = raw.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * width * raw.dtype.itemsize)


def _moments(model: EditableModel, texts: list[list[int]], d_ff: int, progress: Progress) -> Iterator[Tensor]:
    """Each edited layer's packed C, in turn.

    The texts go through the model together, layer by layer, so only one layer's d_ff × d_ff sum is held, where the
    model is.
    """
    progress.stage("statistics", len(model.edited_layers) * len(texts))
    together = _same_length(texts)
    hidden = [model.lower(Batch(torch.tensor(group, device=model.device), False)) for group in together]
    reached = model.first
    tokens = sum(len(text) for text in texts)
    for layer in model.edited_layers:
        total = torch.zeros(d_ff, d_ff, device=model.device)
        for number, states in enumerate(hidden):
            with torch.no_grad(), model.recording() as keys:
                hidden[number] = model.through(states, range(reached, layer + 1), False)
            flat = keys[layer][0].flatten(0, 1).float()
            total.addmm_(flat.T, flat)
            progress.advance(len(states))
        reached = layer + 1
        yield _packed(total.div_(tokens).cpu())


def _same_length(texts: Sequence[list[int]]) -> list[list[list[int]]]:
    """The texts in groups of one length, which need no padding, of at most ``TOGETHER`` tokens."""
    groups: list[list[list[int]]] = []
    for text in sorted(texts, key=len):
        last = groups[-1] if groups else []
        if last and len(last[0]) == len(text) and (len(last) + 1) * len(text) <= TOGETHER:
            last.append(text)
        else:
            groups.append([text])
    return groups


def _packed(full: Tensor) -> Tensor:
    """The upper triangle of a symmetric matrix [n, n], row by row: [n (n + 1) / 2].

    By slices: an index of every entry would take four times the memory of the matrix.
    """
    return torch.cat([row[number:] for number, row in enumerate(full)])


def _unpacked(packed: Tensor) -> Tensor:
    """The symmetric matrix [n, n] of an upper triangle [n (n + 1) / 2]."""
    size = (math.isqrt(8 * packed.numel() + 1) - 1) // 2
    full = torch.empty(size, size)
    at = 0
    for number in range(size):
        row = packed[at : at + size - number]
        full[number, number:] = row
        full[number:, number] = row
        at += size - number
    return full


def _write(path: Path, layers: Sequence[int], d_ff: int, story: dict[str, str], moments: Iterator[Tensor]) -> None:
    """Write the safetensors file layer by layer: to a temporary file, synced, then renamed."""
    size = d_ff * (d_ff + 1) // 2
    header: dict[str, Any] = {"__metadata__": story}
    for number, layer in enumerate(layers):
        offsets = [4 * size * number, 4 * size * (number + 1)]
        header[f"second_moment.{layer}"] = {"dtype": "F32", "shape": [size], "data_offsets": offsets}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    partial = path.with_suffix(".partial")
    try:
        with open(partial, "wb") as file:
            file.write(len(encoded).to_bytes(8, "little") + encoded)
            for moment in moments:
                file.write(moment.numpy().astype("<f4", copy=False).tobytes())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def greedy_answers(
    model: Any, chat: ChatTokens, questions: Sequence[str], length: int, progress: Progress, most: int = 64
) -> list[tuple[int, ...]]:
    """The model's own greedy answers to one-turn questions, at most ``length`` tokens each (with their end).

    A core takes ``most`` questions of similar length to itself, or as many as the attention caches of all may take.
    """
    prompts = [[*chat.prefix, *chat.question(question)] for question in questions]
    longest = max(map(len, prompts), default=0) + length
    # Not by the number of cores there are: who is asked together shall not depend on that.
    most = max(1, min(most, _largest_cache(model) // (MOST_WORKERS * longest * cache_bytes(model))))
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    answers: dict[int, tuple[int, ...]] = {}

    def answered(group: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
        found = continue_prompts(model, [prompts[index] for index in group], length, chat.end[0], progress.check)
        return [(index, tuple(answer)) for index, answer in zip(group, found, strict=True)]

    with workers_on(model.get_input_embeddings().weight.device) as workers:
        for found in workers.map(answered, [order[at : at + most] for at in range(0, len(order), most)]):
            answers |= found
            progress.advance(len(found))
    trim()
    return [answers[index] for index in range(len(prompts))]


def lines_of(name: str) -> list[str]:
    """Lines of a text file of this package."""
    return resources.files("homeedit.editing").joinpath(name).read_text(encoding="utf-8").split("\n")[:-1]
