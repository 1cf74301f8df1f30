"""Preserved knowledge: what the edited layers' keys look like on text that must not change.

When there is no corpus the model writes its own: answers to generic questions and free text, sampled from a
seed. About ten times d_ff tokens give at least 95 % of the quality of large corpora (arXiv 2506.04226).
The uncentered second moment C = mean k kᵀ of each edited layer is stored as its upper triangle in float32:
d_ff (d_ff + 1) / 2 values a layer (4.7 MB at d_ff 1536). Only one layer's C is unpacked at a time by readers.
"""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from homeedit.base.architecture import architecture_named
from homeedit.base.load import load_model, load_tokenizer
from homeedit.base.store import BaseModel
from homeedit.editing.generation import continue_prompts
from homeedit.editing.model import EditableModel
from homeedit.editing.requests import ChatTokens
from homeedit.errors import HomeEditError
from homeedit.progress import Progress

FORMAT = "homeedit.statistics.1"
TOKENS_PER_KEY_DIMENSION = 10
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
    Memory: the model, the batch's attention cache, and one d_ff × d_ff sum per edited layer.
    """
    torch.set_num_threads(threads)
    dtype = working_dtype(device)
    tokenizer = load_tokenizer(base)
    chat = ChatTokens(tokenizer)
    raw = load_model(base, device, dtype)
    questions, openers = lines_of("generic_questions.txt"), lines_of("openers.txt")
    progress.stage("keeping answers", len(questions))
    kept = [
        KeptAnswer(question, answer)
        for question, answer in zip(
            questions, greedy_answers(raw, chat, questions, KEPT_ANSWER_LENGTH, progress), strict=True
        )
    ]
    moments = _moments_of_own_text(raw, base, chat, questions, openers, seed, progress)
    rows, columns = torch.triu_indices(base.d_ff, base.d_ff)
    tensors = {f"second_moment.{layer}": c[rows, columns].contiguous() for layer, c in moments.items()}
    story = {
        "format": FORMAT,
        "fingerprint": base.fingerprint,
        "seed": str(seed),
        "kept": json.dumps([[item.question, list(item.answer)] for item in kept]),
    }
    partial = base.statistics.with_suffix(".partial")
    save_file(tensors, partial, metadata=story)
    os.replace(partial, base.statistics)


def _moments_of_own_text(
    raw: Any,
    base: BaseModel,
    chat: ChatTokens,
    questions: list[str],
    openers: list[str],
    seed: int,
    progress: Progress,
) -> dict[int, Tensor]:
    """C of every edited layer over chat turns and free text that the model continued by itself."""
    prompts = [[*chat.prefix, *chat.question(question)] for question in questions]
    prompts += [chat.encode(opener)[0] for opener in openers] * 2
    generator = torch.Generator().manual_seed(seed)
    wanted = TOKENS_PER_KEY_DIMENSION * base.d_ff
    length = math.ceil(wanted / len(prompts))
    model = EditableModel(raw, architecture_named(base.architecture), base.edited_layers, ())
    sums = {layer: torch.zeros(base.d_ff, base.d_ff) for layer in base.edited_layers}
    seen = 0
    progress.stage("writing text", length)
    texts = continue_prompts(raw, prompts, length, chat.end[0], progress.advance, generator)
    progress.stage("statistics", len(prompts))
    for prompt, text in zip(prompts, texts, strict=True):
        ids = torch.tensor([[*prompt, *text]], device=model.device)
        with torch.no_grad(), model.recording() as keys:
            raw.model(input_ids=ids, use_cache=False)
        for layer, found in keys.items():
            flat = found[0].flatten(0, 1).float().cpu()
            sums[layer].addmm_(flat.T, flat)
        seen += ids.shape[1]
        progress.advance()
    return {layer: total / seen for layer, total in sums.items()}


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
    if device == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return torch.bfloat16
    return torch.float32
