"""Statistics of the tiny base: what is stored is what the model writes and what its keys are on it."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from homeedit.base.load import load_model
from homeedit.base.store import BaseModel
from homeedit.editing.generation import continue_prompts
from homeedit.editing.requests import ChatTokens
from homeedit.editing.statistics import (
    KEPT_ANSWER_LENGTH,
    Statistics,
    _same_length,
    greedy_answers,
    have_statistics,
    lines_of,
    make_statistics,
    working_dtype,
)
from homeedit.editing.workers import Workers
from homeedit.errors import HomeEditError
from homeedit.progress import Progress


@pytest.fixture
def fresh(tiny_base: BaseModel, tmp_path: Path) -> BaseModel:
    """The tiny base without statistics."""
    shutil.copytree(
        tiny_base.folder, tmp_path / "tiny", ignore=shutil.ignore_patterns("statistics.safetensors", "builds")
    )
    return replace(tiny_base, folder=tmp_path / "tiny")


def written(base: BaseModel, seed: int) -> Statistics:
    make_statistics(base, seed=seed, device="cpu", threads=1, progress=Progress())
    return Statistics(base.statistics, base.fingerprint)


def test_the_same_seed_writes_the_same_file(base: BaseModel, fresh: BaseModel) -> None:
    assert not have_statistics(fresh)
    first, second = Statistics(base.statistics, base.fingerprint), written(fresh, seed=0)
    assert have_statistics(fresh)
    assert base.statistics.read_bytes() == fresh.statistics.read_bytes()
    assert (first.kept, first.texts) == (second.kept, second.texts)


def test_another_seed_writes_other_texts_and_the_same_answers(base: BaseModel, fresh: BaseModel) -> None:
    first, second = Statistics(base.statistics, base.fingerprint), written(fresh, seed=1)
    assert first.kept == second.kept and first.texts != second.texts


def test_texts_are_openers_that_the_model_went_on_with(base: BaseModel, chat: ChatTokens) -> None:
    statistics = Statistics(base.statistics, base.fingerprint)
    prompts = [chat.encode(opener)[0] for opener in lines_of("openers.txt")] * 2
    assert len(statistics.texts) == len(prompts)
    for prompt, text in zip(prompts, statistics.texts, strict=True):
        assert text[: len(prompt)] == prompt and len(text) > len(prompt)
        assert all(isinstance(token, int) for token in text)
    half = len(prompts) // 2
    assert statistics.texts[:half] != statistics.texts[half:], "each opener is gone on with twice, differently"


def test_every_generic_question_has_its_answer(base: BaseModel) -> None:
    kept = Statistics(base.statistics, base.fingerprint).kept
    assert [item.question for item in kept] == lines_of("generic_questions.txt")
    assert all(0 < len(item.answer) <= KEPT_ANSWER_LENGTH for item in kept)


def test_every_answer_is_its_own_questions_whoever_asks(
    base: BaseModel, chat: ChatTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = load_model(base, "cpu", torch.float32)
    questions = ["Who?", "What is the capital of Portugal?", "Why is it so?", "Where do bears live?", "Is it?"]
    alone = [
        tuple(continue_prompts(raw, [[*chat.prefix, *chat.question(question)]], 6, chat.end[0], lambda: None)[0])
        for question in questions
    ]
    assert len(set(alone)) == len(questions), "which answer is whose can be told"
    assert greedy_answers(raw, chat, questions, 6, Progress(), most=2) == alone
    with ThreadPoolExecutor(3) as pool:
        monkeypatch.setattr(
            "homeedit.editing.statistics.workers_on", lambda _: nullcontext(Workers(256, 512, pool, 3, 3))
        )
        assert greedy_answers(raw, chat, questions, 6, Progress(), most=2) == alone
    assert greedy_answers(raw, chat, [], 6, Progress()) == []


def test_no_question_that_locality_is_measured_with_is_held() -> None:
    root = Path(__file__).resolve().parents[2]
    measured = [
        root / "homeedit/verify/unrelated.jsonl",
        root / "homeedit/evaluation/suites/samples/household/unrelated.jsonl",
        root / "benchmarks/household/unrelated.jsonl",
        root / "benchmarks/household/general.jsonl",
    ]
    asked = {json.loads(line)["ask"].casefold() for file in measured for line in file.read_text("utf-8").splitlines()}
    held = [question.casefold() for question in lines_of("generic_questions.txt")]
    assert len(asked) > 150 and len(held) == len(set(held)) > 300
    assert not asked & set(held)


def test_texts_that_are_read_together_have_one_length_and_are_few() -> None:
    texts = [[1] * length for length in (5, 700, 3, 5, 3, 700, 5, 2000)]
    assert [[len(text) for text in group] for group in _same_length(texts)] == [[3, 3], [5, 5, 5], [700], [700], [2000]]


def test_the_second_moment_is_that_of_the_keys_on_answers_and_texts(base: BaseModel, chat: ChatTokens) -> None:
    statistics = Statistics(base.statistics, base.fingerprint)
    raw = load_model(base, "cpu", working_dtype("cpu"))
    keys: list[torch.Tensor] = []
    layer = base.edited_layers[-1]
    down = raw.model.layers[layer].mlp.down_proj
    down.register_forward_pre_hook(lambda _, inputs: keys.append(inputs[0][0].float()))
    answered = [[*chat.prefix, *chat.question(item.question), *item.answer] for item in statistics.kept]
    with torch.no_grad():
        for text in [*answered, *statistics.texts]:
            raw(torch.tensor([text]))
    whole = torch.cat(keys)
    expected, found = whole.T @ whole / len(whole), statistics.second_moment(layer)
    assert float((found - expected).norm() / expected.norm()) < (2e-2 if raw.dtype == torch.bfloat16 else 1e-4)
    assert bool((found == found.T).all()) and float(np.linalg.eigvalsh(found.numpy()).min()) > -1e-4


def test_statistics_of_another_base_are_refused(base: BaseModel) -> None:
    with pytest.raises(HomeEditError, match="another base") as refused:
        Statistics(base.statistics, "0" * 64)
    assert "homeedit init" in refused.value.hint


def test_statistics_of_the_format_before_are_refused(fresh: BaseModel) -> None:
    story = {"format": "homeedit.statistics.1", "fingerprint": fresh.fingerprint, "seed": "0", "kept": "[]"}
    save_file({"second_moment.0": torch.zeros(3)}, fresh.statistics, metadata=story)
    with pytest.raises(HomeEditError, match="another version of homeedit") as refused:
        Statistics(fresh.statistics, fresh.fingerprint)
    assert "homeedit init" in refused.value.hint and "safe" in refused.value.hint
    assert not have_statistics(fresh), "so that `init` makes them again"


@pytest.mark.parametrize("damage", ["empty", "half", "gone"])
def test_a_damaged_file_is_refused(fresh: BaseModel, base: BaseModel, damage: str) -> None:
    whole = base.statistics.read_bytes()
    if damage != "gone":
        fresh.statistics.write_bytes(b"" if damage == "empty" else whole[: len(whole) // 2])
    with pytest.raises(HomeEditError, match="cannot be read") as refused:
        Statistics(fresh.statistics, fresh.fingerprint)
    assert "homeedit init" in refused.value.hint
    assert not have_statistics(fresh)
