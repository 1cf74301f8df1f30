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
from homeedit.editing.generation import continue_prompts
from homeedit.editing.model import Batch, EditableModel
from homeedit.editing.requests import ChatTokens
from homeedit.errors import HomeEditError
from homeedit.progress import Progress

FORMAT = "homeedit.statistics.2"
FREE_TOKENS_PER_KEY_DIMENSION = 8
KEPT_ANSWER_LENGTH = 24


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

    def second_moment(self, layer: int) -> Tensor:
        """C of a layer: [d_ff, d_ff] float32, mean over tokens of k kᵀ."""
        with safe_open(self.file, framework="pt") as opened:
            packed = opened.get_tensor(f"second_moment.{layer}")
        size = (math.isqrt(8 * packed.numel() + 1) - 1) // 2
        full = torch.zeros(size, size)
        rows, columns = torch.triu_indices(size, size)
        full[rows, columns] = packed
        full[columns, rows] = packed
        return full


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
    Memory: the model, the batch's attention cache, d_model values a token, and one layer's d_ff × d_ff sum.
    """
    torch.set_num_threads(threads)
    dtype = working_dtype(device)
    tokenizer = load_tokenizer(base)
    chat = ChatTokens(tokenizer)
    raw = load_model(base, device, dtype)
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
    model = EditableModel(raw, architecture_named(base.architecture), base.edited_layers, ())
    _write(base, story, _moments(model, answered + free, base.d_ff, progress))


def _free_text(raw: Any, base: BaseModel, chat: ChatTokens, seed: int, progress: Progress) -> list[list[int]]:
    """Texts that the model continued by itself, sampled at temperature 1, as tokens with their beginnings."""
    prompts = [chat.encode(opener)[0] for opener in lines_of("openers.txt")] * 2
    length = math.ceil(FREE_TOKENS_PER_KEY_DIMENSION * base.d_ff / len(prompts))
    progress.stage("writing text", length)
    generator = torch.Generator().manual_seed(seed)
    texts = continue_prompts(raw, prompts, length, chat.end[0], progress.advance, generator)
    return [[*prompt, *text] for prompt, text in zip(prompts, texts, strict=True)]


def _moments(model: EditableModel, texts: list[list[int]], d_ff: int, progress: Progress) -> Iterator[Tensor]:
    """Each edited layer's packed C, in turn.

    The texts go through the model together, layer by layer, so only one layer's d_ff × d_ff sum is held.
    """
    progress.stage("statistics", len(model.edited_layers) * len(texts))
    hidden = [model.lower(Batch(torch.tensor([text], device=model.device), False)) for text in texts]
    reached = model.first
    triangle = torch.triu_indices(d_ff, d_ff)
    for layer in model.edited_layers:
        total = torch.zeros(d_ff, d_ff)
        for number, states in enumerate(hidden):
            with torch.no_grad(), model.recording() as keys:
                hidden[number] = model.through(states, range(reached, layer + 1), False)
            flat = keys[layer][0].flatten(0, 1).float().cpu()
            total.addmm_(flat.T, flat)
            progress.advance()
        reached = layer + 1
        yield (total / sum(len(text) for text in texts))[triangle[0], triangle[1]]


def _write(base: BaseModel, story: dict[str, str], moments: Iterator[Tensor]) -> None:
    """Write the safetensors file layer by layer: to a temporary file, synced, then renamed."""
    size = base.d_ff * (base.d_ff + 1) // 2
    header: dict[str, Any] = {"__metadata__": story}
    for number, layer in enumerate(base.edited_layers):
        offsets = [4 * size * number, 4 * size * (number + 1)]
        header[f"second_moment.{layer}"] = {"dtype": "F32", "shape": [size], "data_offsets": offsets}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    partial = base.statistics.with_suffix(".partial")
    try:
        with open(partial, "wb") as file:
            file.write(len(encoded).to_bytes(8, "little") + encoded)
            for moment in moments:
                file.write(moment.numpy().astype("<f4", copy=False).tobytes())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, base.statistics)
    finally:
        partial.unlink(missing_ok=True)


def greedy_answers(
    model: Any, chat: ChatTokens, questions: Sequence[str], length: int, progress: Progress, most: int = 64
) -> list[tuple[int, ...]]:
    """The model's own greedy answers to one-turn questions, at most ``length`` tokens each (with their end)."""
    answers: list[tuple[int, ...]] = []
    for at in range(0, len(questions), most):
        chosen = questions[at : at + most]
        prompts = [[*chat.prefix, *chat.question(question)] for question in chosen]
        found = continue_prompts(model, prompts, length, chat.end[0], progress.check)
        answers += [tuple(answer) for answer in found]
        progress.advance(len(chosen))
    return answers


def lines_of(name: str) -> list[str]:
    """Lines of a text file of this package."""
    return resources.files("homeedit.editing").joinpath(name).read_text(encoding="utf-8").split("\n")[:-1]


def working_dtype(device: str) -> torch.dtype:
    """The dtype a compile runs in: bfloat16 where the processor computes in it, else float32."""
    if device == "cuda":
        return torch.bfloat16
    # torch has no public word for it yet; without it float32 is right everywhere.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    if device == "cpu" and supported is not None and supported():
        return torch.bfloat16
    return torch.float32
