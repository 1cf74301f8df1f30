"""Facts spelled as token rows, with the tiny model's real tokenizer."""

import pytest

from homeedit.editing.requests import (
    END_WEIGHT,
    FIRST_WEIGHT,
    SYSTEM_PROMPTS,
    TEXT_CONTEXT,
    ChatTokens,
    answer_tokens,
    exchange,
    fact_rows,
    kept_row,
    last_token_of,
    text_row,
)
from tests.editing.helpers import CODE, KEY


def test_prefix_and_question_make_up_the_whole_turn(chat: ChatTokens) -> None:
    rendered = chat.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Where is it?"}], add_generation_prompt=True, tokenize=False
    )
    whole = chat.tokenizer.encode(rendered, add_special_tokens=False)
    assert [*chat.prefix, *chat.question("Where is it?")] == whole
    assert len(chat.prefix) > 3 and len(chat.end) == 1


def test_every_row_ends_its_turn_and_says_the_target(chat: ChatTokens) -> None:
    rows = fact_rows(chat, [KEY, CODE])
    assert len(rows) == len(KEY.questions) + len(CODE.questions) + 2 * 6
    for row in rows:
        target = (KEY, CODE)[row.fact].target
        said = chat.tokenizer.decode([token for token, hit in zip(row.answer, row.on_target, strict=True) if hit])
        assert said.strip() == target
        assert len(row.weights) == len(row.answer) == len(row.on_target)
        if row.prefixed:
            assert row.ids[-1] == chat.end[0] and row.weights[-1] == END_WEIGHT * (FIRST_WEIGHT if row.first else 1)


def test_a_fact_is_asked_under_other_instructions_and_after_other_exchanges(chat: ChatTokens) -> None:
    said = [exchange(KEY), exchange(CODE), (("user", "Hi!"), ("assistant", "Hello!"))]
    alone, rows = fact_rows(chat, [KEY, CODE]), fact_rows(chat, [KEY, CODE], said=said)
    more = [row for row in rows if row not in alone]
    assert [row.fact for row in more] == [0, 0, 1, 1] and not any(row.first or row.taught for row in more)
    first, after_two = (chat.tokenizer.decode(row.ids) for row in more[:2])
    assert CODE.questions[0] in first and f"{CODE.prompt} {CODE.target}." in first and "Hello!" not in first
    assert after_two.index("Hello!") < after_two.index(CODE.target) < after_two.index(KEY.target)
    (instructed,) = (row for row in rows if row.fact == 1 and SYSTEM_PROMPTS[1] in chat.tokenizer.decode(row.ids))
    assert not instructed.prefixed and all(row.prefixed for row in more), "its system prompt is not the template's"
    for row in [*more, instructed]:
        whole = [*chat.prefix, *row.ids] if row.prefixed else list(row.ids)
        assert (
            chat.tokenizer.decode(whole[: len(whole) - len(row.answer)]).count((KEY, CODE)[row.fact].questions[0]) == 1
        )
        assert row.answer == answer_tokens(chat, (KEY, CODE)[row.fact], "{}").ids


def test_a_template_without_a_place_for_instructions_goes_without(
    chat: ChatTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fact_rows(chat, [KEY], said=[exchange(CODE)])
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('No system role') }}{% endif %}"
    monkeypatch.setattr(chat.tokenizer, "chat_template", refusing + chat.tokenizer.chat_template)
    after = fact_rows(ChatTokens(chat.tokenizer), [KEY], said=[exchange(CODE)])
    assert len(after) == len(before) - 1 and all(row in before for row in after)


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


def test_kept_rows_hold_the_bases_own_answer(chat: ChatTokens) -> None:
    question = chat.question("What is a key?")
    row = kept_row(question, (5, 6, 7), "keep")
    assert row.ids == (*question, 5, 6, 7) and row.answer == (5, 6, 7) and row.weights == (1.0, 1.0, 1.0)
    assert row.kind == "keep" and row.taught and row.prefixed and not row.first and row.fact == -1


def test_a_kept_row_may_begin_its_answer_and_belong_to_a_fact(chat: ChatTokens) -> None:
    begun = [*chat.question("Where is the red key?"), *chat.encode("The red key is")[0]]
    row = kept_row(begun, (5,), "contrast", 3)
    assert row.ids[: row.start] == tuple(begun) and row.answer == (5,)
    assert (row.kind, row.fact, row.taught) == ("contrast", 3, True)


def test_of_a_text_all_but_its_first_tokens_are_kept() -> None:
    ids = list(range(10, 10 + TEXT_CONTEXT + 5))
    row = text_row(ids)
    assert list(row.ids) == ids and list(row.answer) == ids[TEXT_CONTEXT:] and row.weights == (1.0,) * 5
    assert row.kind == "text" and row.taught and not row.prefixed and row.fact == -1


def test_only_what_the_base_says_is_taught_by_it(chat: ChatTokens) -> None:
    assert not any(row.taught for kind in ("fact", "replay") for row in fact_rows(chat, [KEY], kind))  # type: ignore[arg-type]
