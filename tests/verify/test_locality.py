"""Locality: zero for the base itself, the KL of the definition for others, base answers asked once."""

import json
from pathlib import Path

import numpy as np
import pytest

from homeedit.base.store import BaseModel
from homeedit.builds.build import make_build
from homeedit.errors import Cancelled, HomeEditError
from homeedit.progress import Progress
from homeedit.runtime.llama import Runtime, log_softmax
from homeedit.verify import locality
from homeedit.verify.locality import (
    Locality,
    Question,
    ask_base,
    base_answers,
    compare,
    kl_of_likely,
    measure,
    most_likely,
    unrelated_questions,
)
from tests.builds.helpers import CREATED, own_copy, random_patch

ANYTHING = tuple("abcdefghijklmnopqrstuvwxyz0123456789")


@pytest.fixture
def base(tiny_base: BaseModel, tmp_path: Path) -> BaseModel:
    return own_copy(tiny_base, tmp_path / "model")


@pytest.fixture
def edited(base: BaseModel, tmp_path: Path) -> Path:
    patch = random_patch(base, tmp_path / "edits", rank=8)
    return make_build(base, [patch], number=1, created=CREATED, threads=1, progress=Progress()).gguf


def test_the_shipped_questions_are_sound() -> None:
    questions = unrelated_questions()
    assert len(questions) == 24
    assert len({question.ask for question in questions}) == 24
    for question in questions:
        assert question.ask.endswith("?") and question.expect
        assert all(word == word.casefold() and word.strip() for word in question.expect)
        assert not any(word in question.ask.casefold() for word in question.expect if not word.isdigit())


def test_likely_tokens_give_the_whole_kl_or_slightly_less() -> None:
    random = np.random.default_rng(0)
    base = log_softmax((4 * random.standard_normal((7, 500))).astype(np.float32))
    build = log_softmax(base + (0.3 * random.standard_normal((7, 500))).astype(np.float32))
    whole = np.sum(np.exp(base.astype(np.float64)) * (base.astype(np.float64) - build), axis=1)
    everything = kl_of_likely(*most_likely(base, 500), build)
    assert np.allclose(everything, whole, atol=1e-6)
    found = kl_of_likely(*most_likely(base, 100), build)
    assert (found <= whole + 1e-6).all()
    assert np.allclose(found, whole, rtol=0.1)
    assert (kl_of_likely(*most_likely(base, 100), base) == 0).all()


def test_likely_tokens_are_the_most_probable() -> None:
    logprobs = log_softmax(np.array([[0, 5, 1, 4], [9, 0, 8, 0]], np.float32))
    likely, values = most_likely(logprobs, 2)
    assert likely.tolist() == [[1, 3], [0, 2]]
    assert np.array_equal(values, np.take_along_axis(logprobs, likely, axis=1))
    assert most_likely(logprobs, 99)[0].shape == (2, 4)


def test_the_base_is_itself(base: BaseModel) -> None:
    with Runtime(base.gguf, threads=1) as runtime:
        found = measure(base, runtime, Progress(), threads=1)
        assert found == Locality(kl=0.0, kept=found.asked, asked=found.asked)


def test_a_build_differs_by_the_kl_of_the_definition(base: BaseModel, edited: Path) -> None:
    questions = tuple(Question(f"What is {word}?", ANYTHING) for word in ("tea", "rain", "a key"))
    with Runtime(base.gguf, threads=1) as before, Runtime(edited, threads=1) as after:
        answers = ask_base(before, questions, Progress())
        total, count = 0.0, 0
        for question, answer in zip(questions, answers, strict=True):
            prompt = before.chat_tokens(question.ask)
            assert list(answer.tokens) == before.generate_tokens(prompt, locality.MOST_TOKENS)
            one = before.answer_logprobs(prompt, answer.tokens).astype(np.float64)
            other = after.answer_logprobs(prompt, answer.tokens).astype(np.float64)
            total += float((np.exp(one) * (one - other)).sum())
            count += len(answer.tokens)
        found = compare(answers, after, Progress(), questions)
    assert found.kl == pytest.approx(total / count, rel=1e-4)
    assert found.kl > 0.01
    assert found.asked == 3


def test_only_answers_the_base_got_right_count(base: BaseModel, edited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locality, "FIRM", 0.0)  # a random model says everything by a hair
    with Runtime(base.gguf, threads=1) as before, Runtime(edited, threads=1) as after:
        ask = "What is tea?"
        said = before.chat(ask, max_tokens=locality.MOST_TOKENS).casefold()
        says_now = after.chat(ask, max_tokens=locality.MOST_TOKENS).casefold()
        assert said != says_now
        words = [word for word in said.split() if word not in says_now]
        assert words, "the random edit changes the answer"
        questions = (Question(ask, (words[-1],)), Question(ask, ("no such word",)), Question(ask, ANYTHING))
        answers = ask_base(before, questions, Progress())
        assert [answer.firm for answer in answers] == [True, False, True]
        found = compare(answers, after, Progress(), questions)
        assert (found.kept, found.asked) == (1, 2)
        spoken = says_now.split()
        assert compare(answers[2:], after, Progress(), (Question(ask, (spoken[-1],)),)).kept == 1, "said after a change"
        with pytest.raises(HomeEditError, match="other questions"):
            compare(answers[:2], after, Progress(), questions)


@pytest.mark.parametrize(("firm", "counted"), [(0.0, 1), (100.0, 0)])
def test_what_the_base_says_by_a_hair_does_not_count(
    base: BaseModel, monkeypatch: pytest.MonkeyPatch, firm: float, counted: int
) -> None:
    monkeypatch.setattr(locality, "FIRM", firm)
    questions = (Question("What is tea?", ANYTHING),)
    with Runtime(base.gguf, threads=1) as runtime:
        found = compare(ask_base(runtime, questions, Progress()), runtime, Progress(), questions)
    assert (found.kept, found.asked) == (counted, counted)


def test_only_the_words_up_to_the_expected_one_have_to_be_firm(base: BaseModel) -> None:
    question = Question("What is tea?", ("tea",))
    with Runtime(base.gguf, threads=1) as runtime:
        tokens = runtime.tokens("green tea with milk")
        sure = np.full((len(tokens), runtime.vocabulary.size), -20.0, np.float32)
        sure[range(len(tokens)), tokens] = -0.1
        assert locality._is_firm(runtime, tokens, sure, question)
        unsure = sure.copy()
        unsure[-1, 0] = -0.2
        assert locality._is_firm(runtime, tokens, unsure, question), "the last word may be any"
        unsure = sure.copy()
        unsure[0, 0] = -0.2
        assert not locality._is_firm(runtime, tokens, unsure, question)
        assert not locality._is_firm(runtime, tokens, sure, Question("What is tea?", ("coffee",)))
        other = sure.copy()
        other[0, tokens[0] - 1] = 5.0
        assert not locality._is_firm(runtime, tokens, other, question), "another token is far ahead"


def test_a_build_that_keeps_the_beginning_is_not_asked(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = (Question("What is tea?", ANYTHING),)
    with Runtime(base.gguf, threads=1) as runtime:
        answers = ask_base(runtime, questions, Progress())
        monkeypatch.setattr(runtime, "generate_tokens", lambda *arguments, **options: pytest.fail("asked again"))
        assert compare(answers, runtime, Progress(), questions).kept == 1


def unwanted() -> Runtime:
    raise AssertionError("the base model was asked again")


def test_base_answers_are_kept_until_something_changes(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened() -> Runtime:
        return Runtime(base.gguf, threads=1)

    first = base_answers(base, opened, Progress())
    again = base_answers(base, unwanted, Progress())
    assert [answer.tokens for answer in again] == [answer.tokens for answer in first]
    assert [answer.firm for answer in again] == [answer.firm for answer in first]
    assert all(np.array_equal(a.logprobs, b.logprobs) for a, b in zip(first, again, strict=True))
    file = base.folder / "locality.npz"
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not a zip file", whole[:-100] + bytes(100)):
        file.write_bytes(damaged)
        assert len(base_answers(base, opened, Progress())) == 24
        assert file.read_bytes() == whole
    lines = [json.dumps({"ask": "What is tea?", "expect": ["leaf"]})] * 2
    monkeypatch.setattr(locality, "_question_file", lambda: "\n".join(lines).encode())
    assert len(base_answers(base, opened, Progress())) == 2


def test_measuring_can_be_stopped(base: BaseModel) -> None:
    progress = Progress()
    progress.cancel()
    with Runtime(base.gguf, threads=1) as runtime, pytest.raises(Cancelled):
        measure(base, runtime, progress, threads=1)
    assert not (base.folder / "locality.npz").exists()


@pytest.mark.real
def test_the_real_base_answers_eleven_of_the_questions_firmly(real_base: BaseModel, tmp_path: Path) -> None:
    base = own_copy(real_base, tmp_path / "model")
    with Runtime(base.gguf, threads=2) as runtime:
        found = measure(base, runtime, Progress(), threads=2)
    assert found.kl == 0.0
    # 13 as the file came, at Q4_1: two of them are now ahead by a little less than asked for.
    assert found.kept == found.asked == 11
