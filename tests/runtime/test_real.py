"""The embedded SmolLM2, as it is served."""

from collections.abc import Iterator

import numpy as np
import pytest

from homeedit.base.gguf_file import read_gguf
from homeedit.base.load import load_tokenizer
from homeedit.base.sources import embedded_file
from homeedit.base.store import BaseModel, check_base
from homeedit.runtime.llama import Runtime

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


def test_every_other_tensor_is_as_it_came(real_base: BaseModel) -> None:
    old, new = read_gguf(embedded_file()), read_gguf(real_base.gguf)
    changed = {name for name in old.tensors if old.raw(name).tobytes() != new.raw(name).tobytes()}
    assert changed == {f"blk.{layer}.ffn_down.weight" for layer in real_base.edited_layers}
    assert old.metadata == new.metadata


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
