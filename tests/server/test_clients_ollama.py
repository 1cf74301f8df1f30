"""The ``ollama`` library against a real server."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import pytest

from homeedit.household import Household
from homeedit.runtime.llama import Runtime
from tests.server.live import CONTEXT, Live, wait_for

QUESTION = "Where is the spare key?"
ASKED = [{"role": "user", "content": QUESTION}]
DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


@pytest.fixture(scope="module")
def client(live: Live) -> Iterator[ollama.Client]:
    with ollama.Client(host=live.url, timeout=120) as opened:
        yield opened


@pytest.fixture(scope="module")
def said(served_home: Household) -> str:
    """What the live build says to the question, in 20 tokens."""
    with Runtime(served_home.builds()[0][-1].gguf, threads=1, context=CONTEXT) as runtime:
        return runtime.chat(QUESTION, max_tokens=20)


def test_it_says_that_it_is_there(live: Live) -> None:
    assert httpx.get(live.url).text == "Ollama is running"
    assert httpx.head(live.url).status_code == 200
    assert "version" in httpx.get(f"{live.url}/api/version").json()


def test_small_answers_are_not_held_back(live: Live) -> None:
    """With Nagle's algorithm on, each answer on a connection that is kept takes 40 ms."""
    with httpx.Client(base_url=live.url) as kept:
        took = sorted(kept.get("/api/tags").elapsed.total_seconds() for _ in range(60))
    assert took[10] < 0.03


def test_models_are_listed_as_they_are_on_disk(client: ollama.Client, served_home: Household) -> None:
    listed = client.list().models
    assert [model.model for model in listed] == ["homeedit:latest", "homeedit-base:latest"]
    build = served_home.builds()[0][-1]
    assert listed[0].size == build.bytes
    assert listed[0].modified_at is not None and listed[0].modified_at.tzinfo is not None
    assert all(len(model.digest or "") == 64 and model.details and model.details.format == "gguf" for model in listed)
    assert listed[0].details is not None and listed[0].details.family == "llama"
    assert [model.name for model in listed if hasattr(model, "name")] in ([], ["homeedit:latest"])


def test_what_is_loaded(client: ollama.Client) -> None:
    loaded = client.ps().models
    assert loaded[0].model == "homeedit:latest"
    assert loaded[0].size and loaded[0].size_vram == 0


def test_a_model_is_shown(client: ollama.Client) -> None:
    shown = client.show("homeedit")
    assert shown.modelinfo and shown.modelinfo["general.architecture"] == "llama"
    assert shown.modelinfo["llama.context_length"] == CONTEXT
    assert "completion" in (shown.capabilities or [])
    assert shown.template and "im_start" in shown.template
    with pytest.raises(ollama.ResponseError) as missing:
        client.show("llama3")
    assert missing.value.status_code == 404


def test_a_chat(client: ollama.Client, said: str) -> None:
    answer = client.chat(model="homeedit", messages=ASKED, options={"num_predict": 20})
    assert (answer.message.content or "").strip() == said
    assert (answer.done, answer.done_reason, answer.eval_count) == (True, "length", 20)
    assert all(getattr(answer, name) >= 0 for name in DURATIONS)
    assert answer.total_duration and answer.total_duration > 1000, "nanoseconds"
    assert answer.prompt_eval_count and answer.prompt_eval_count > 10
    assert answer.created_at and answer.model == "homeedit:latest"


def test_a_chat_streamed(client: ollama.Client, said: str) -> None:
    parts = list(client.chat(model="homeedit", messages=ASKED, options={"num_predict": 20}, stream=True))
    assert "".join(part.message.content or "" for part in parts).strip() == said
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert all(part.message.role == "assistant" for part in parts)
    assert parts[-1].done_reason == "length" and parts[-1].eval_count == 20
    assert len(parts) > 5


def test_generate(client: ollama.Client, said: str) -> None:
    plain = client.generate(model="homeedit", prompt=QUESTION, options={"num_predict": 20})
    assert plain.response.strip() == said
    parts = list(client.generate(model="homeedit", prompt=QUESTION, options={"num_predict": 20}, stream=True))
    assert "".join(part.response for part in parts) == plain.response
    assert parts[-1].done and parts[-1].eval_count == 20
    raw = client.generate(model="homeedit", prompt="The spare key is", raw=True, options={"num_predict": 5})
    assert raw.eval_count == 5 and raw.prompt_eval_count and raw.prompt_eval_count < 12


def test_a_system_prompt_changes_the_answer(client: ollama.Client) -> None:
    options = {"num_predict": 20}
    without = client.generate(model="homeedit", prompt=QUESTION, options=options)
    within = client.generate(model="homeedit", prompt=QUESTION, system="Speak like a pirate.", options=options)
    assert within.response != without.response


def test_loading_says_that_it_is_loaded(client: ollama.Client) -> None:
    assert client.generate(model="homeedit", prompt="").done_reason == "load"
    assert client.chat(model="homeedit", messages=[]).done_reason == "load"


def test_an_answer_follows_a_schema(client: ollama.Client) -> None:
    schema: Any = {
        "type": "object",
        "properties": {"known": {"type": "boolean"}, "where": {"enum": ["garden", "house"]}},
        "required": ["known", "where"],
    }
    answer = client.chat(model="homeedit", messages=ASKED, format=schema, options={"num_predict": 200})
    found = json.loads(answer.message.content or "")
    assert isinstance(found["known"], bool) and found["where"] in ("garden", "house")
    assert answer.done_reason == "stop"


def test_options_are_honoured(client: ollama.Client) -> None:
    def say(**options: Any) -> str:
        chosen = {"num_predict": 24, "temperature": 1, "top_k": 40, "top_p": 0.9, "num_ctx": 8192} | options
        return client.generate(model="homeedit", prompt=QUESTION, options=chosen).response

    assert say(seed=1) == say(seed=1)
    assert len({say(seed=seed) for seed in (1, 2, 3)}) > 1
    full = say(temperature=0)
    assert say(temperature=0, stop=[full[8:11]]) == full[: full.index(full[8:11])]


def test_tools_and_a_python_function_as_one(client: ollama.Client) -> None:
    def turn_on(room: str) -> str:
        """Turns a light on.

        Args:
            room: where
        """
        return room

    answer = client.chat(model="homeedit", messages=ASKED, tools=[turn_on], options={"num_predict": 3})
    assert answer.eval_count == 3


def test_a_pull_says_that_it_is_there(client: ollama.Client) -> None:
    assert client.pull("homeedit").status == "success"
    assert [step.status for step in client.pull("homeedit:latest", stream=True)][-1] == "success"
    with pytest.raises(ollama.ResponseError) as missing:
        client.pull("llama3.2")
    assert missing.value.status_code == 404


def test_what_is_not_offered_is_refused_in_words(client: ollama.Client, live: Live) -> None:
    with pytest.raises(ollama.ResponseError) as missing:
        client.chat(model="llama3", messages=ASKED)
    assert missing.value.status_code == 404 and "llama3" in missing.value.error
    with pytest.raises(ollama.ResponseError) as streamed:
        list(client.chat(model="llama3", messages=ASKED, stream=True))
    assert streamed.value.status_code == 404
    for refused in (
        lambda: client.embed("homeedit", "text"),
        lambda: client.delete("homeedit"),
        lambda: client.copy("homeedit", "mine"),
        lambda: client.create("mine", from_="homeedit"),
        lambda: client.push("homeedit"),
        lambda: client.generate("homeedit", "a", suffix="b"),
    ):
        with pytest.raises(ollama.ResponseError) as error:
            refused()
        assert 400 <= error.value.status_code <= 501 and len(error.value.error) > 10
    assert live.is_well()


def test_the_model_is_free_at_once_when_a_reader_goes(client: ollama.Client, live: Live) -> None:
    live.until_idle()
    before = live.answering.state().cancelled
    stream = client.chat(model="homeedit", messages=ASKED, options={"num_predict": 7000}, stream=True)
    for _, _part in zip(range(4), stream, strict=False):
        pass
    stream.close()  # type: ignore[attr-defined]
    wait_for(lambda: live.answering.state().cancelled == before + 1, "its answer stopped")
    assert client.generate(model="homeedit", prompt="Hello", options={"num_predict": 2}).eval_count == 2


def test_a_key_is_wanted(locked: Live) -> None:
    with ollama.Client(host=locked.url) as stranger, pytest.raises(ollama.ResponseError) as refused:
        stranger.list()
    assert refused.value.status_code == 401 and "key" in refused.value.error
    with ollama.Client(host=locked.url, headers={"Authorization": "Bearer a-key"}) as friend:
        assert len(friend.list().models) == 2
