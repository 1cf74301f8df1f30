"""The ``openai`` library against a real server: what people's programs send, and what they get back."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai import OpenAI

from homeedit.household import Household
from homeedit.runtime.llama import Runtime
from tests.server.live import CONTEXT, Live, wait_for

QUESTION = "Where is the spare key?"
LIGHT = {
    "type": "function",
    "function": {
        "name": "turn_on",
        "description": "Turns a light on.",
        "parameters": {
            "type": "object",
            "properties": {"room": {"type": "string", "enum": ["kitchen", "hall"]}, "dimmed": {"type": "boolean"}},
            "required": ["room", "dimmed"],
            "additionalProperties": False,
        },
    },
}


def ask(question: str = QUESTION) -> list[Any]:
    return [{"role": "user", "content": question}]


def client_of(live: Live, key: str = "none") -> OpenAI:
    return OpenAI(base_url=f"{live.url}/v1", api_key=key, max_retries=0, timeout=120)


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[OpenAI]:
    with client_of(live) as opened:
        yield opened


@pytest.fixture(scope="module")
def model(served_home: Household) -> Iterator[Runtime]:
    """The live build, asked directly."""
    builds, active = served_home.builds()
    with Runtime(builds[-1].gguf, threads=1, context=CONTEXT) as runtime:
        assert builds[-1].number == active
        yield runtime


def test_the_two_models_are_listed_and_found(client: OpenAI) -> None:
    listed = client.models.list()
    assert [model.id for model in listed] == ["homeedit:latest", "homeedit-base:latest"]
    assert all(model.object == "model" and model.owned_by and model.created > 1_600_000_000 for model in listed)
    assert client.models.retrieve("homeedit").id == "homeedit:latest"


def test_an_answer_is_the_models_own(client: OpenAI, model: Runtime) -> None:
    answer = client.chat.completions.create(model="homeedit", messages=ask(), max_tokens=24)
    choice = answer.choices[0]
    assert (choice.message.content or "").strip() == model.chat(QUESTION, max_tokens=24)
    assert (choice.message.role, choice.finish_reason) == ("assistant", "length")
    assert answer.system_fingerprint == "homeedit-build-3"
    assert answer.model == "homeedit:latest"
    assert answer.usage is not None
    prompt = len(model.chat_tokens(QUESTION))
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (prompt, 24)
    assert answer.usage.total_tokens == prompt + 24


def test_the_base_answers_under_its_own_name(client: OpenAI, served_home: Household) -> None:
    base = served_home.workspace.base()
    with Runtime(base.gguf, threads=1, context=CONTEXT) as runtime:
        expected = runtime.chat(QUESTION, max_tokens=24)
    answer = client.chat.completions.create(model="homeedit-base:latest", messages=ask(), max_tokens=24)
    assert (answer.choices[0].message.content or "").strip() == expected
    assert answer.model == "homeedit-base:latest"


def test_a_stream_says_what_the_plain_answer_says(client: OpenAI) -> None:
    plain = client.chat.completions.create(model="homeedit", messages=ask(), max_tokens=24)
    stream = client.chat.completions.create(
        model="homeedit", messages=ask(), max_tokens=24, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert deltas[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in deltas) == plain.choices[0].message.content
    ends = [choice for choice in deltas if choice.finish_reason]
    assert [choice.finish_reason for choice in ends] == ["length"]
    assert not ends[0].delta.content, "clients throw away what stands in the last chunk"
    assert chunks[-1].choices == [] and chunks[-1].usage == plain.usage
    assert len({chunk.id for chunk in chunks}) == 1
    assert len(deltas) > 5, "it came in one piece"


def test_a_stream_has_no_usage_that_nobody_asked_for(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="homeedit", messages=ask(), max_tokens=3, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)


def test_a_text_is_continued(client: OpenAI, model: Runtime) -> None:
    text = "The spare key is"
    plain = client.completions.create(model="homeedit", prompt=text, max_tokens=12)
    assert plain.choices[0].finish_reason == "length"
    assert plain.usage is not None and plain.usage.completion_tokens == 12
    expected = model.text(model.generate_tokens(model.tokens(text), 12))
    assert plain.choices[0].text.strip() == expected
    streamed = list(client.completions.create(model="homeedit", prompt=text, max_tokens=12, stream=True))
    assert "".join(chunk.choices[0].text for chunk in streamed if chunk.choices) == plain.choices[0].text


def test_tools_are_never_an_error(client: OpenAI) -> None:
    options: dict[str, Any] = {"model": "homeedit", "messages": ask(), "max_tokens": 3, "tools": [LIGHT]}
    plain = client.chat.completions.create(**options)
    assert plain.choices[0].finish_reason == "length"
    chunks = list(client.chat.completions.create(**options, stream=True))
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "turn_on"}}])
def test_a_tool_that_must_be_called_is_called(client: OpenAI, choice: Any) -> None:
    options: dict[str, Any] = {"model": "homeedit", "messages": ask(), "tools": [LIGHT], "tool_choice": choice}
    answer = client.chat.completions.create(**options, max_tokens=400).choices[0]
    assert answer.finish_reason == "tool_calls"
    assert not answer.message.content
    assert answer.message.tool_calls is not None
    (call,) = answer.message.tool_calls
    assert call.type == "function" and call.function.name == "turn_on" and call.id
    arguments = json.loads(call.function.arguments)
    assert arguments["room"] in ("kitchen", "hall") and isinstance(arguments["dimmed"], bool)

    chunks = list(client.chat.completions.create(**options, max_tokens=400, stream=True))
    pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or ()]
    assert pieces[0].index == 0 and pieces[0].id and pieces[0].function and pieces[0].function.name == "turn_on"
    text = "".join(piece.function.arguments or "" for piece in pieces if piece.function)
    assert json.loads(text) == arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    assert not any(chunk.choices[0].delta.content for chunk in chunks)


def test_an_answer_follows_a_schema(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"known": {"type": "boolean"}, "where": {"enum": ["garden", "house"]}},
        "required": ["known", "where"],
        "additionalProperties": False,
    }
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": schema}}
    answer = client.chat.completions.create(
        model="homeedit", messages=ask(), response_format=wanted, max_tokens=200, temperature=1, seed=4
    )
    found = json.loads(answer.choices[0].message.content or "")
    assert set(found) == {"known", "where"}
    assert isinstance(found["known"], bool) and found["where"] in ("garden", "house")
    assert answer.choices[0].finish_reason == "stop"


def test_json_object_begins_as_one(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="homeedit", messages=ask(), response_format={"type": "json_object"}, max_tokens=40
    )
    assert (answer.choices[0].message.content or "").startswith("{")


def test_logprobs_are_of_the_tokens_that_were_said(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="homeedit", messages=ask(), max_tokens=8, logprobs=True, top_logprobs=3
    ).choices[0]
    assert answer.logprobs is not None and answer.logprobs.content is not None
    tokens = answer.logprobs.content
    assert len(tokens) == 8
    for token in tokens:
        likely = [each.logprob for each in token.top_logprobs]
        assert len(likely) == 3 and likely == sorted(likely, reverse=True) and likely[0] <= 0
        assert token.logprob == likely[0] and token.token == token.top_logprobs[0].token, "greedy takes the likeliest"
    said = b"".join(bytes(token.bytes or ()) for token in tokens).decode("utf-8", errors="replace")
    assert said.strip() == (answer.message.content or "").strip()
    bare = client.chat.completions.create(model="homeedit", messages=ask(), max_tokens=2, logprobs=True).choices[0]
    assert bare.logprobs is not None and bare.logprobs.content is not None
    assert [each.top_logprobs for each in bare.logprobs.content] == [[], []]


def test_streamed_logprobs_are_the_same(client: OpenAI) -> None:
    options: dict[str, Any] = {"model": "homeedit", "messages": ask(), "max_tokens": 8, "logprobs": True}
    plain = client.chat.completions.create(**options).choices[0].logprobs
    chunks = client.chat.completions.create(**options, stream=True)
    streamed = [
        token
        for chunk in chunks
        if chunk.choices and chunk.choices[0].logprobs
        for token in chunk.choices[0].logprobs.content or ()
    ]
    assert plain is not None and streamed == plain.content


def test_a_seed_repeats_and_another_does_not(client: OpenAI) -> None:
    def say(seed: int) -> str | None:
        answer = client.chat.completions.create(
            model="homeedit", messages=ask(), max_tokens=24, temperature=1, top_p=0.95, seed=seed
        )
        return answer.choices[0].message.content

    assert say(7) == say(7)
    assert len({say(seed) for seed in (7, 8, 9)}) > 1


def test_a_stop_string_ends_the_answer_and_is_not_in_it(client: OpenAI) -> None:
    options: dict[str, Any] = {"model": "homeedit", "messages": ask(), "max_tokens": 40}
    full = client.chat.completions.create(**options).choices[0].message.content or ""
    stop = full[10:13]
    expected = full[: full.index(stop)]
    cut = client.chat.completions.create(**options, stop=[stop, "never said"]).choices[0]
    assert (cut.message.content, cut.finish_reason) == (expected, "stop")
    chunks = client.chat.completions.create(**options, stop=stop, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == expected


def test_the_model_is_free_at_once_when_a_reader_goes(client: OpenAI, live: Live) -> None:
    live.until_idle()
    before = live.answering.state()
    with client.chat.completions.create(model="homeedit", messages=ask(), max_tokens=7000, stream=True) as stream:
        for _, _chunk in zip(range(4), stream, strict=False):
            pass
        assert live.answering.state().running == 1
    client.chat.completions.create(model="homeedit", messages=ask(), max_tokens=2)
    live.until_idle()
    after = live.answering.state()
    assert after.cancelled == before.cancelled + 1
    assert after.answer_tokens - before.answer_tokens < 5000, "the answer nobody read was finished first"


def test_a_reader_who_leaves_a_plain_request_frees_the_model(live: Live) -> None:
    live.until_idle()
    before = live.answering.state().cancelled
    with OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0, timeout=1.0) as impatient:
        with pytest.raises(openai.APITimeoutError):
            impatient.chat.completions.create(model="homeedit", messages=ask(), max_tokens=7000)
    wait_for(lambda: live.answering.state().cancelled == before + 1, "its answer stopped")
    live.until_idle()


def test_eight_at_once_are_all_answered_alike(client: OpenAI) -> None:
    def say(_: int) -> str | None:
        answer = client.chat.completions.create(model="homeedit", messages=ask(), max_tokens=16)
        return answer.choices[0].message.content

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(say, range(16)))) == 1


def test_a_conversation_may_be_longer_than_the_context(client: OpenAI) -> None:
    turn = "word " * 400
    messages: list[Any] = [{"role": "system", "content": "Be brief."}]
    for _ in range(30):
        messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": "Yes."}]
    answer = client.chat.completions.create(model="homeedit", messages=[*messages, *ask()], max_tokens=4)
    assert answer.usage is not None and 400 < answer.usage.prompt_tokens <= CONTEXT - 16


def test_a_question_that_cannot_fit_is_refused_in_words(client: OpenAI, live: Live) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="homeedit", messages=ask("word " * 20_000), max_tokens=4)
    assert error.value.code == "context_length_exceeded"
    assert live.is_well()


def test_errors_are_those_of_the_library(locked: Live) -> None:
    with client_of(locked, "another-key") as stranger, pytest.raises(openai.AuthenticationError) as refused:
        stranger.models.list()
    assert refused.value.code == "invalid_api_key"
    assert "a-key" not in str(refused.value.body)
    with client_of(locked, "a-key") as friend:
        assert len(friend.models.list().data) == 2
        with pytest.raises(openai.NotFoundError) as missing:
            friend.chat.completions.create(model="gpt-4", messages=ask())
        assert missing.value.code == "model_not_found" and "gpt-4" in missing.value.message
        with pytest.raises(openai.NotFoundError):
            friend.models.retrieve("gpt-4")
        with pytest.raises(openai.BadRequestError) as wrong:
            friend.chat.completions.create(model="homeedit", messages=ask(), temperature=-1)
        assert "temperature" in wrong.value.message
        with pytest.raises(openai.BadRequestError):
            friend.chat.completions.create(model="homeedit", messages=ask(), n=2)
        with pytest.raises(openai.BadRequestError):
            friend.chat.completions.create(model="homeedit", messages=[])


def test_pictures_are_refused_in_words(client: OpenAI) -> None:
    picture: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model="homeedit", messages=[{"role": "user", "content": [picture]}])
    assert "image" in error.value.message.lower() or "picture" in error.value.message.lower()


def test_the_first_word_comes_before_the_last(client: OpenAI) -> None:
    began = time.monotonic()
    times = [
        time.monotonic() - began
        for _ in client.chat.completions.create(model="homeedit", messages=ask(), max_tokens=600, stream=True)
    ]
    assert times[1] < times[-1] / 2, "the stream was held back until its end"
