"""Answers that grow, from models that stay loaded; on the tiny model, which says nonsense."""

import threading
from collections.abc import Iterator

import pytest

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.household.results import Reply
from homeedit.household.talking import Talk
from homeedit.settings import Home
from tests.household.conftest import World

QUESTION = "Where is the spare key?"


@pytest.fixture
def talk(household: Household, loads: list[str]) -> Iterator[Talk]:
    with household.talk() as opened:
        yield opened


def whole(talk: Talk, question: str = QUESTION, *, base: bool = False, max_tokens: int = 12) -> Reply:
    return list(talk.stream(question, base=base, max_tokens=max_tokens))[-1]


def teach(household: Household, sentence: str) -> None:
    household.add(sentence)
    household.compile()


def test_an_answer_grows_to_what_ask_says(household: Household, talk: Talk) -> None:
    replies = list(talk.stream(QUESTION, max_tokens=48))
    (asked,) = household.ask([QUESTION])
    assert replies[-1].text == asked.answer and asked.answer
    assert [reply.done for reply in replies] == [False] * (len(replies) - 1) + [True]
    assert [reply.tokens for reply in replies[:-1]] == list(range(1, len(replies)))
    assert replies[-1].tokens == len(replies) - 1
    assert all(later.text.startswith(sooner.text) for sooner, later in zip(replies, replies[1:], strict=False))
    assert {(reply.model, reply.build) for reply in replies} == {("tiny", None)}
    times = [reply.seconds for reply in replies]
    assert times == sorted(times) and times[0] > 0


def test_no_token_is_still_an_answer(talk: Talk) -> None:
    (reply,) = talk.stream(QUESTION, max_tokens=0)
    assert (reply.text, reply.tokens, reply.done) == ("", 0, True)


def test_a_model_is_loaded_once_and_when_it_is_asked(
    household: Household, world: World, talk: Talk, loads: list[str]
) -> None:
    teach(household, "The spare key is under the mat.")
    loads.clear()
    first = whole(talk)
    assert loads == ["1"] and first.build == 1
    assert whole(talk).text == first.text
    assert whole(talk, base=True).build is None
    whole(talk, base=True)
    assert loads == ["1", "tiny"]


def test_another_active_build_is_noticed(household: Household, world: World, talk: Talk, loads: list[str]) -> None:
    assert whole(talk).build is None
    teach(household, "The spare key is under the mat.")
    assert whole(talk).build == 1
    household.use(None)
    loads.clear()
    assert whole(talk).build is None and loads == []
    teach(household, "The rake is in the shed.")
    loads.clear()
    assert whole(talk).build == 2 and loads == ["2"]


def test_closing_the_iterator_stops_and_frees_the_model(talk: Talk) -> None:
    replies = talk.stream(QUESTION, max_tokens=100)
    next(replies)
    replies.close()
    assert whole(talk).text == whole(talk).text != ""


def test_base_and_build_are_asked_at_once_by_two_threads(household: Household, world: World, talk: Talk) -> None:
    teach(household, "The spare key is under the mat.")
    expected = {base: whole(talk, base=base).text for base in (True, False)}
    meeting = threading.Barrier(2, timeout=30)
    found: dict[bool, str] = {}

    def ask(base: bool) -> None:
        for reply in talk.stream(QUESTION, base=base, max_tokens=12):
            if reply.tokens == 1:
                # Neither gets past its first token unless both have one.
                meeting.wait()
            found[base] = reply.text

    threads = [threading.Thread(target=ask, args=(base,)) for base in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == expected


def test_a_second_question_to_one_model_waits_for_the_first(talk: Talk) -> None:
    expected = whole(talk).text
    first = talk.stream(QUESTION, max_tokens=12)
    next(first)
    found: list[str] = []
    other = threading.Thread(target=lambda: found.append(whole(talk).text))
    other.start()
    other.join(0.2)
    assert other.is_alive() and not found
    assert list(first)[-1].text == expected
    other.join(30)
    assert found == [expected]


def test_a_talk_that_is_closed_ends_what_is_being_said(talk: Talk) -> None:
    replies = talk.stream(QUESTION, max_tokens=100)
    next(replies)
    talk.close()
    assert list(replies) == []
    with pytest.raises(HomeEditError, match="over"):
        whole(talk)
    talk.close()


def test_what_cannot_be_asked(household: Household, world: World, talk: Talk) -> None:
    with pytest.raises(HomeEditError, match="context"):
        whole(talk, "Where? " * 3000)
    assert whole(talk).done
    teach(household, "The spare key is under the mat.")
    build = household.home.models / "tiny" / "builds" / "1" / "model.gguf"
    build.write_bytes(build.read_bytes()[:1000])
    with pytest.raises(HomeEditError, match="damaged"):
        whole(talk)
    assert whole(talk, base=True).done


def test_a_folder_that_is_no_home(tmp_path: object, home: Home) -> None:
    with Household(Home(home.root / "nowhere")).talk() as talk, pytest.raises(HomeEditError, match="no base model"):
        whole(talk)
