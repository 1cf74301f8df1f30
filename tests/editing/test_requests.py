"""Facts spelled as token rows, with the tiny model's real tokenizer."""

import pytest

from homeedit.base.load import load_tokenizer
from homeedit.base.store import BaseModel
from homeedit.editing.requests import (
    END_WEIGHT,
    FIRST_WEIGHT,
    ChatTokens,
    answer_tokens,
    fact_rows,
    keep_row,
    last_token_of,
)
from tests.editing.test_compile import CODE, KEY


@pytest.fixture(scope="module")
def chat(tiny_base: BaseModel) -> ChatTokens:
    return ChatTokens(load_tokenizer(tiny_base))


def test_prefix_and_question_make_up_the_whole_turn(chat: ChatTokens) -> None:
    rendered = chat.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Where is it?"}], add_generation_prompt=True, tokenize=False
    )
    whole = chat.tokenizer.encode(rendered, add_special_tokens=False)
    assert [*chat.prefix, *chat.question("Where is it?")] == whole
    assert len(chat.prefix) > 3 and len(chat.end) == 1


def test_every_row_ends_its_turn_and_says_the_target(chat: ChatTokens) -> None:
    rows = fact_rows(chat, [KEY, CODE])
    assert len(rows) == len(KEY.questions) + len(CODE.questions) + 2 * 5
    for row in rows:
        target = (KEY, CODE)[row.fact].target
        said = chat.tokenizer.decode([token for token, hit in zip(row.answer, row.on_target, strict=True) if hit])
        assert said.strip() == target
        assert len(row.weights) == len(row.answer) == len(row.on_target)
        if row.prefixed:
            assert row.ids[-1] == chat.end[0] and row.weights[-1] == END_WEIGHT * (FIRST_WEIGHT if row.first else 1)


def test_framed_answers_leave_the_beginning_free(chat: ChatTokens) -> None:
    plain, framed = answer_tokens(chat, KEY, "{}"), answer_tokens(chat, KEY, "Sure! {}")
    assert min(plain.weights) > 0 and framed.weights[0] == 0
    assert sum(framed.on_target) == sum(plain.on_target)


def test_subject_end_is_the_last_token_of_the_last_occurrence(chat: ChatTokens) -> None:
    text = "The spare key? Where is the Spare Key now?"
    ids, spans = chat.encode(text)
    at = last_token_of(chat, text, "spare key")
    assert text[: spans[at][1]].endswith("Spare Key")
    assert last_token_of(chat, text, "shed") == -1


def test_keep_rows_hold_the_bases_own_answer(chat: ChatTokens) -> None:
    row = keep_row(chat, "What is a key?", (5, 6, 7))
    assert row.answer == (5, 6, 7) and row.taught and row.fact == -1
