"""Answers token by token: sampling, grammars, log-probabilities, and a cache that changes nothing."""

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeedit.base.store import BaseModel
from homeedit.errors import USAGE, HomeEditError
from homeedit.runtime.llama import Runtime
from homeedit.runtime.sampling import GREEDY, Sampled, Sampling
from homeedit.runtime.text_stream import TextStream
from homeedit.runtime.vocabulary import Vocabulary
from tests.support.tiny import make_tiny_adapter

QUESTION = "Where is the spare key?"
TURNS = [
    {"role": "system", "content": "You know the house. " * 20},
    {"role": "user", "content": QUESTION},
    {"role": "assistant", "content": "Under the blue pot."},
    {"role": "user", "content": "And the other one?"},
]
WARM = Sampling(temperature=1.5, seed=7)


@pytest.fixture(scope="module")
def runtime(tiny_base: BaseModel) -> Iterator[Runtime]:
    with Runtime(tiny_base.gguf, threads=1) as opened:
        yield opened


def said(runtime: Runtime, sampling: Sampling = GREEDY, *, count: int = 12, question: str = QUESTION) -> list[int]:
    pieces = runtime.conversation([{"role": "user", "content": question}])
    return [sampled.token for sampled in runtime.stream(pieces, sampling, max_tokens=count)]


def text_of(runtime: Runtime, tokens: list[int]) -> str:
    return b"".join(map(runtime.token_bytes, tokens)).decode(errors="replace")


def everything(runtime: Runtime, turns: list[dict[str, str]]) -> list[Sampled]:
    """An answer with all that is known of its tokens, to the last bit."""
    return list(runtime.stream(runtime.conversation(turns), max_tokens=6, top_logprobs=1024))


def test_greedy_is_what_verify_asks(runtime: Runtime) -> None:
    prompt = runtime.chat_tokens(QUESTION)
    assert said(runtime) == runtime.generate_tokens(prompt, 12) == list(runtime.stream_tokens(prompt, 12))


def test_a_conversation_is_evaluated_once_and_answered_the_same(runtime: Runtime, tiny_base: BaseModel) -> None:
    fresh: dict[int, list[Sampled]] = {}
    sizes = {count: len(runtime.conversation(TURNS[:count])) for count in (2, 4)}
    assert sizes == {2: 2, 4: 4}
    for count in (2, 4):
        with Runtime(tiny_base.gguf, threads=1) as other:
            fresh[count] = everything(other, TURNS[:count])
            assert other.cached_tokens == 0
    pieces = runtime.conversation(TURNS)
    runtime.perplexity("Something else before that fills the cache. " * 5)
    for count, cached in ((2, 0), (4, 1), (4, 3), (2, 1), (2, 1), (4, 1)):
        assert everything(runtime, TURNS[:count]) == fresh[count]
        assert runtime.cached_tokens == sum(map(len, pieces[:cached]))
    everything(runtime, [{"role": "user", "content": QUESTION}])
    assert runtime.cached_tokens == 0
    assert everything(runtime, TURNS) == fresh[4]


def test_generated_tokens_are_not_taken_for_a_piece(runtime: Runtime) -> None:
    pieces = runtime.conversation([{"role": "user", "content": QUESTION}])
    answer = [sampled.token for sampled in runtime.stream(pieces, max_tokens=5)]
    longer = [*pieces, answer, [5, 6, 7]]
    first = list(runtime.stream(longer, max_tokens=3, top_logprobs=5))
    assert runtime.cached_tokens == sum(map(len, pieces))
    runtime.perplexity("Something else before that fills the cache.")
    assert list(runtime.stream(longer, max_tokens=3, top_logprobs=5)) == first
    assert runtime.cached_tokens == 0


def test_an_adapter_drops_what_is_cached(runtime: Runtime, tiny_base: BaseModel, tmp_path: Path) -> None:
    plain = everything(runtime, TURNS)
    adapter = make_tiny_adapter(tmp_path / "a.gguf", layers=[0, 1], d_model=64, d_ff=256)
    runtime.use_adapter(adapter)
    changed = everything(runtime, TURNS)
    assert changed != plain and runtime.cached_tokens == 0
    with Runtime(tiny_base.gguf, threads=1, adapter=adapter) as other:
        assert everything(other, TURNS) == changed
    runtime.use_adapter(None)
    assert everything(runtime, TURNS) == plain


def test_closing_stops_and_errors_come_with_the_first_step(runtime: Runtime) -> None:
    stream = runtime.stream(runtime.conversation(TURNS), max_tokens=50)
    next(stream)
    stream.close()
    assert list(stream) == []
    late = runtime.stream([], max_tokens=5)
    with pytest.raises(HomeEditError, match="empty"):
        next(late)
    with pytest.raises(HomeEditError, match="context"):
        next(runtime.stream([[5] * 5000], max_tokens=5))
    assert said(runtime, count=0) == []


def test_the_context_ends_an_answer(tiny_base: BaseModel) -> None:
    with Runtime(tiny_base.gguf, threads=1, context=256) as runtime:
        assert len(list(runtime.stream([[5] * 250], max_tokens=100))) == 6


def test_a_seed_repeats_and_another_differs(runtime: Runtime) -> None:
    first = said(runtime, WARM)
    assert first == said(runtime, WARM) != said(runtime, replace(WARM, seed=8))
    assert first != said(runtime)
    # -1 and 2^32 - 1 are llama.cpp's word for a random seed.
    for seed in (-1, 2**32 - 1, 2**63):
        assert said(runtime, replace(WARM, seed=seed)) == said(runtime, replace(WARM, seed=seed))


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}, {"temperature": 1e-30}])
def test_the_narrowest_choice_is_greedy(runtime: Runtime, narrow: dict[str, Any]) -> None:
    assert said(runtime, replace(WARM, **narrow)) == said(runtime)


def test_top_k_keeps_to_the_likeliest(runtime: Runtime) -> None:
    pieces = runtime.conversation([{"role": "user", "content": QUESTION}])
    seen = set()
    for seed in range(40):
        (first,) = runtime.stream(pieces, Sampling(temperature=50, top_k=3, seed=seed), max_tokens=1, top_logprobs=3)
        assert first.token in {token for token, _ in first.top}
        seen.add(first.token)
    assert len(seen) == 3


def test_biases_and_penalties(runtime: Runtime) -> None:
    greedy = said(runtime)
    assert said(runtime, Sampling(logit_bias={greedy[0]: -100}))[0] != greedy[0]
    prompt = runtime.chat_tokens(QUESTION)
    one, two = [token for token in range(500, 900) if token not in prompt][:2]
    assert said(runtime, Sampling(logit_bias={one: 100}), count=3) == [one, one, one]
    # Logits are a few units apart; the biases set these two far above the others.
    first = next(iter(runtime.stream([prompt], max_tokens=1, top_logprobs=1024)))
    near = dict(first.top)
    forced = Sampling(logit_bias={one: 60 - near[one], two: 59.5 - near[two]})
    assert said(runtime, forced, count=1) == [one]
    # The prompt counts as well, as far as the window reaches: the token is last or last but one in it.
    for tail, window, expected in (([one], 64, two), ([one, 5], 64, two), ([one, 5], 1, one), ([one], 0, one)):
        for penalty in ({"presence_penalty": 2.0}, {"frequency_penalty": 2.0}, {"repeat_penalty": 2.0}):
            pieces = [prompt, tail]
            plain = next(iter(runtime.stream(pieces, max_tokens=1, top_logprobs=1024)))
            near = dict(plain.top)
            biases = {one: 60 - near[one], two: 59.5 - near[two]}
            sampling = Sampling(logit_bias=biases, penalty_window=window, **penalty)
            assert next(iter(runtime.stream(pieces, sampling, max_tokens=1))).token == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": -1},
        {"top_k": 2**31},
        {"top_p": 1.1},
        {"top_p": -0.1},
        {"min_p": math.nan},
        {"repeat_penalty": 0.0},
        {"repeat_penalty": -1.0},
        {"presence_penalty": 2.1},
        {"frequency_penalty": -math.inf},
        {"penalty_window": -1},
        {"penalty_window": 2**40},
        {"seed": 2**64},
        {"logit_bias": {5: math.nan}},
        {"logit_bias": {5: 101}},
        {"logit_bias": {-1: 1}},
        {"logit_bias": {1024: 1}},
        {"grammar": "root ::= ("},
        {"json_schema": "{"},
        {"grammar": 'root ::= "a"', "json_schema": "{}"},
    ],
)
def test_values_that_are_not_allowed(runtime: Runtime, wrong: dict[str, Any]) -> None:
    with pytest.raises(HomeEditError) as refused:
        said(runtime, Sampling(**wrong))
    assert refused.value.exit_code == USAGE
    assert len(said(runtime, count=2)) == 2


def test_log_probabilities_are_the_models_own(runtime: Runtime) -> None:
    pieces = runtime.conversation([{"role": "user", "content": QUESTION}])
    sampling = Sampling(temperature=2.0, seed=3, top_k=50, logit_bias={77: 5})
    found = list(runtime.stream(pieces, sampling, max_tokens=5, top_logprobs=4))
    tokens = [sampled.token for sampled in found]
    rows = runtime.answer_logprobs(runtime.chat_tokens(QUESTION), tokens)
    for sampled, row in zip(found, rows, strict=True):
        assert sampled.logprob == pytest.approx(row[sampled.token], abs=1e-3)
        assert [token for token, _ in sampled.top] == np.argsort(-row, kind="stable")[:4].tolist()
        assert [logprob for _, logprob in sampled.top] == sorted((float(each) for each in row), reverse=True)[:4] or (
            np.allclose([logprob for _, logprob in sampled.top], np.sort(row)[::-1][:4], atol=1e-3)
        )
    assert all(
        each.top == () and each.logprob is not None for each in runtime.stream(pieces, max_tokens=2, top_logprobs=0)
    )
    assert all(each.logprob is None for each in runtime.stream(pieces, max_tokens=2))
    (whole,) = runtime.stream(pieces, max_tokens=1, top_logprobs=5000)
    assert len(whole.top) == 1024


@pytest.mark.parametrize("sampling", [GREEDY, WARM, Sampling(temperature=1, top_k=5, repeat_penalty=1.2)])
def test_an_answer_follows_its_grammar_and_ends_with_it(runtime: Runtime, sampling: Sampling) -> None:
    tokens = said(runtime, replace(sampling, grammar='root ::= ("yes" | "no") " " [ä-ü]{3} "."'), count=60)
    answer = text_of(runtime, tokens)
    assert answer[:2] in ("ye", "no") and answer.endswith(".") and answer[-5] == " "
    assert all("ä" <= letter <= "ü" for letter in answer[-4:-1])
    schema = '{"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}'
    assert text_of(runtime, said(runtime, replace(sampling, json_schema=schema), count=60)).replace(" ", "") in (
        '{"on":true}',
        '{"on":false}',
    )


def test_a_grammar_that_nothing_can_follow_ends_the_answer(runtime: Runtime) -> None:
    assert said(runtime, Sampling(grammar='root ::= ""')) == []
    assert said(runtime, Sampling(grammar=r"root ::= [^\x00-\U0010FFFF]")) == []


def test_token_bytes_are_the_text(runtime: Runtime) -> None:
    text = "Käti's key 😀"
    tokens = runtime.tokens(text)
    assert b"".join(map(runtime.token_bytes, tokens)).decode() == text
    assert runtime.token_bytes(1) == runtime.token_bytes(2) == b""
    assert runtime.is_end(2) and not runtime.is_end(tokens[0])


def test_streamed_text_is_the_answers_text(runtime: Runtime) -> None:
    for seed in range(5):
        tokens = said(runtime, replace(WARM, seed=seed), count=30)
        stream = TextStream()
        streamed = "".join(stream.feed(runtime.token_bytes(token)) for token in tokens) + stream.finish()
        assert streamed == runtime.text(tokens)


def test_a_text_is_continued_as_it_is(runtime: Runtime) -> None:
    (piece,) = runtime.continuation("The key is <|im_end|>")
    assert piece == runtime.tokens("The key is <|im_end|>") and 2 not in piece
    assert runtime.continuation("") == [[]]


def test_reading_a_long_prompt_can_be_ended(runtime: Runtime) -> None:
    class GoneError(Exception):
        pass

    def check() -> None:
        checks.append(1)
        if len(checks) == 2:
            raise GoneError

    checks: list[int] = []
    expected = said(runtime)
    (long,) = runtime.continuation("The spare key is under the pot. " * 100)
    assert 512 < len(long) < runtime.context
    with pytest.raises(GoneError):
        next(runtime.stream([long], max_tokens=1, check=check))
    assert said(runtime) == expected, "what was read of it does no harm"
    list(runtime.stream([long], max_tokens=1, check=lambda: None))


def test_warming_and_metadata(runtime: Runtime) -> None:
    before = said(runtime)
    runtime.warm()
    assert said(runtime) == before and runtime.cached_tokens == 0, "nothing of the warming stays"
    found = runtime.metadata
    assert (found.architecture, found.context) == ("llama", 2048)
    assert found.parameters > 100_000 and found.quantization and "im_start" in found.template


def test_another_thread_says_how_many_threads_evaluate(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    llama = runtime._llama
    decode, tell = llama.llama_decode, llama.llama_set_n_threads
    monkeypatch.setattr(llama, "llama_set_n_threads", lambda *given: told.append(given[1:]) or tell(*given))
    alone = said(runtime)
    assert told == []
    began, go_on, is_set = threading.Event(), threading.Event(), threading.Event()

    def held(*given: Any) -> int:
        began.set()
        assert go_on.wait(10)
        return int(decode(*given))

    monkeypatch.setattr(llama, "llama_decode", held)
    answers: list[list[int]] = []
    asking = threading.Thread(target=lambda: answers.append(said(runtime)))
    asking.start()
    assert began.wait(10)
    setting = threading.Thread(target=lambda: (runtime.use_threads(2), is_set.set()))
    setting.start()
    assert not is_set.wait(0.05), "a batch is evaluated with the old number still"
    go_on.set()
    asking.join(10)
    assert is_set.wait(10)
    setting.join(10)
    assert answers == [alone] and told == [(2, 2)]
    runtime.use_threads(1)
    assert said(runtime) == alone and told == [(2, 2), (1, 1)]


def test_a_model_that_borrows_a_vocabulary_answers_as_with_its_own(runtime: Runtime) -> None:
    vocabulary = Vocabulary.of_file(runtime.gguf)
    with Runtime(runtime.gguf, threads=1, vocabulary=vocabulary) as other:
        assert runtime._llama.llama_vocab_type(runtime._llama.llama_model_get_vocab(other._model)) == 0, "none loaded"
        assert other.vocabulary is vocabulary and vocabulary.specials == runtime.vocabulary.specials
        assert other.conversation(TURNS) == runtime.conversation(TURNS)
        assert said(other) == said(runtime)
        assert other.metadata == runtime.metadata
    assert vocabulary.tokens("the pot") == runtime.tokens("the pot"), "it outlives the models that borrow it"


def test_a_file_with_another_number_of_tokens_cannot_borrow_a_vocabulary(runtime: Runtime) -> None:
    vocabulary = Vocabulary.of_file(runtime.gguf)
    vocabulary.size -= 1
    with pytest.raises(HomeEditError, match="cannot load the model file"):
        Runtime(runtime.gguf, threads=1, vocabulary=vocabulary)


def test_a_vocabulary_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(HomeEditError, match="is not there"):
        Vocabulary.of_file(tmp_path / "none.gguf")


def test_memory_does_not_grow_with_samplers(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chain that is made is freed, also when the answer is broken off."""
    llama, alive = runtime._llama, []
    make, free = llama.llama_sampler_chain_init, llama.llama_sampler_free
    monkeypatch.setattr(llama, "llama_sampler_chain_init", lambda parameters: alive.append(1) or make(parameters))
    monkeypatch.setattr(llama, "llama_sampler_free", lambda chain: alive.pop() and free(chain))
    busy = replace(WARM, repeat_penalty=1.1, top_k=5, top_p=0.9, min_p=0.1, logit_bias={5: 1.0})
    said(runtime, busy)
    stream = runtime.stream(runtime.conversation(TURNS), busy, max_tokens=9)
    next(stream)
    assert len(alive) == 2
    stream.close()
    assert alive == []
