"""The embedded SmolLM2, as it is served."""

import json
from collections.abc import Iterator

import numpy as np
import pytest
from gguf import GGMLQuantizationType

from homeedit.base.gguf_file import read_gguf
from homeedit.base.load import load_tokenizer
from homeedit.base.sources import embedded_file
from homeedit.base.store import BaseModel, check_base
from homeedit.runtime.llama import Runtime
from homeedit.runtime.sampling import Sampling

pytestmark = pytest.mark.real

QUESTIONS = [
    "Where is the spare key?",
    "What's the Wi-Fi code? 4711-AB",
    "  two  spaces,\n\nlines; and\ttabs ",
    "Zoë's café, naïve – “quoted” … ÄÖÜß 日本語 😀",
    "",
    "I'll be there at 17:45; you've got 3 keys, haven't you?!",
]


@pytest.fixture(scope="module")
def runtime(real_base: BaseModel) -> Iterator[Runtime]:
    with Runtime(real_base.gguf, threads=1) as opened:
        yield opened


def test_chat_tokens_equal_those_of_transformers(runtime: Runtime, real_base: BaseModel) -> None:
    tokenizer = load_tokenizer(real_base)
    for question in QUESTIONS:
        expected = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_dict=False
        )
        assert runtime.chat_tokens(question) == expected
        assert runtime.tokens(question) == tokenizer.encode(question)


def test_conversations_equal_those_of_transformers(runtime: Runtime, real_base: BaseModel) -> None:
    tokenizer = load_tokenizer(real_base)
    turns = [{"role": "system", "content": "You know this house: café, 日本語, 😀."}]
    for number, question in enumerate(QUESTIONS):
        turns += [{"role": "user", "content": question}]
        for messages in (turns, turns[1:], turns[-1:], turns[-2:]):
            expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
            assert [token for piece in runtime.conversation(messages) for token in piece] == expected
        turns += [{"role": "assistant", "content": f"{number}. {question} – naïve\n"}]


def test_fewer_threads_meanwhile_change_no_answer(real_base: BaseModel) -> None:
    """Also behind so many tokens that llama.cpp adds up by thread."""
    found = []
    with Runtime(real_base.gguf, threads=2) as runtime:
        for threads in (2, 1):
            runtime.use_threads(threads)
            for words in ("Where is the key?", "The house is big. " * 80):
                pieces = runtime.conversation([{"role": "user", "content": words}])
                said = runtime.stream(pieces, max_tokens=6, top_logprobs=0)
                found.append([(sampled.token, sampled.logprob) for sampled in said])
                runtime.warm()  # nothing is known from the time before
    assert len(found[1]) == 6 and found[:2] == found[2:]


def test_a_longer_conversation_is_answered_the_same_from_the_cache(runtime: Runtime, real_base: BaseModel) -> None:
    turns = [
        {"role": "system", "content": "You are the house. " * 30},
        {"role": "user", "content": "Where is the spare key?"},
        {"role": "assistant", "content": "The spare key is under the blue flower pot. " * 5},
        {"role": "user", "content": "Say that again."},
    ]
    with Runtime(real_base.gguf, threads=1) as other:
        fresh = list(other.stream(other.conversation(turns), max_tokens=8, top_logprobs=20))
    runtime.chat("Something else?", max_tokens=3)
    list(runtime.stream(runtime.conversation(turns[:2]), max_tokens=20))
    assert list(runtime.stream(runtime.conversation(turns), max_tokens=8, top_logprobs=20)) == fresh
    assert runtime.cached_tokens > 100


def test_an_answer_in_json(runtime: Runtime) -> None:
    schema = {
        "type": "object",
        "properties": {"capital": {"type": "string"}, "is_city": {"type": "boolean"}},
        "required": ["capital", "is_city"],
    }
    pieces = runtime.conversation([{"role": "user", "content": "The capital of France, as JSON?"}])
    for temperature in (0.0, 1.0):
        sampling = Sampling(temperature=temperature, json_schema=json.dumps(schema))
        tokens = [sampled.token for sampled in runtime.stream(pieces, sampling, max_tokens=200)]
        answer = json.loads(b"".join(map(runtime.token_bytes, tokens)))
        assert isinstance(answer["capital"], str) and isinstance(answer["is_city"], bool)
        if not temperature:
            assert "Paris" in answer["capital"]


def test_answers_like_the_file_it_was_made_from(runtime: Runtime) -> None:
    with Runtime(embedded_file(), threads=1) as source:
        divergences = []
        for question in QUESTIONS[:3]:
            prompt = runtime.chat_tokens(question)
            answer = source.generate_tokens(prompt, 16)
            ours = runtime.answer_logprobs(prompt, answer).astype(np.float64)
            theirs = source.answer_logprobs(prompt, answer).astype(np.float64)
            divergences.append((np.exp(theirs) * (theirs - ours)).sum(-1).mean())
        # 0.1 % apart on 20 kB of text; this one is short.
        text = "The spare key is kept under the flower pot beside the front door of the house. " * 3
        assert runtime.perplexity(text) == pytest.approx(source.perplexity(text), rel=0.03)
    assert max(divergences) < 0.02


def test_every_matrix_is_kept_at_eight_bits_and_says_what_it_did(real_base: BaseModel) -> None:
    """llama.cpp multiplies the types it came in one token at a time."""
    old, new = read_gguf(embedded_file()), read_gguf(real_base.gguf)
    assert real_base.quantization == "Q8_0"
    types = {name: GGMLQuantizationType(tensor.type).name for name, tensor in new.tensors.items()}
    assert types == {name: "F32" if len(tensor.shape) == 1 else "Q8_0" for name, tensor in old.tensors.items()}
    for name in ("blk.0.ffn_gate.weight", "blk.12.ffn_down.weight", "blk.29.attn_v.weight", "output_norm.weight"):
        was, now = old.dequantized(name), new.dequantized(name)
        assert np.abs(now - was).max() <= np.abs(was).max() / 127
    differing = {key for key in old.metadata if old.metadata[key] != new.metadata.get(key)}
    assert differing == {"general.file_type"}


def test_passes_its_own_check(real_base: BaseModel) -> None:
    assert check_base(real_base) == []


def test_an_answer_ends_by_itself(runtime: Runtime) -> None:
    prompt = runtime.chat_tokens("Hello!")
    answer = runtime.generate_tokens(prompt, 100)
    assert 5 < len(answer) < 100
    text = runtime.chat("Hello!", max_tokens=100)
    assert text.startswith("Hello!")
    assert text == runtime.text(answer)
    assert "<|im_end|>" not in text


def test_a_right_guess_is_read_and_a_wrong_one_is_spoken_over(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = "What is the capital of France?"
    answer = runtime.chat(question)
    spoken: list[int] = []
    generate = runtime.generate_tokens
    monkeypatch.setattr(runtime, "generate_tokens", lambda prompt, most: spoken.append(most) or generate(prompt, most))
    assert runtime.chat(question, guess=answer) == answer and not spoken
    short = runtime.chat("What is 2 + 2?", max_tokens=100)
    spoken.clear()
    assert runtime.chat("What is 2 + 2?", max_tokens=100, guess=short) == short and not spoken
    wrong = ["The capital of France is Rome.", answer + " Yes.", answer[:-5], "", "x" * 300]
    assert [runtime.chat(question, guess=each) for each in wrong] == [answer] * 5 and len(spoken) == 5
    cut = runtime.chat(question, max_tokens=4)
    assert runtime.chat(question, max_tokens=4, guess=answer) == cut != answer
