"""Ollama's routes: what reaches the engine, and what its answers look like."""

import json
from typing import Any

import httpx
import pytest

from homeedit.household.serving.requests import BASE, SERVED, ToolCall, Turn
from tests.server.fakes import FakeEngine, ask, fails, says

HELLO = [{"role": "user", "content": "Where is the key?"}]


def post(engine: FakeEngine, path: str, **fields: Any) -> httpx.Response:
    return ask(engine, "POST", path, json={"model": "homeedit"} | fields)


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.endswith("\n") and "\n\n" not in answer.text
    return [json.loads(each) for each in answer.text.splitlines()]


def test_who_is_there() -> None:
    for method in ("GET", "HEAD"):
        answer = ask(FakeEngine(), method, "/")
        assert answer.status_code == 200
        assert answer.text == ("Ollama is running" if method == "GET" else "")
    assert ask(FakeEngine(), "GET", "/api/version").json()["version"].split(".")[0].isdigit()


def test_models_as_home_assistant_reads_them() -> None:
    models = ask(FakeEngine(), "GET", "/api/tags").json()["models"]
    assert [each["name"] for each in models] == [each["model"] for each in models] == [SERVED, BASE]
    assert models[0]["details"]["parameter_size"] == "134.5M" and models[0]["size"] == 98_000_000
    assert [each["name"] for each in ask(FakeEngine(), "GET", "/api/ps").json()["models"]] == [SERVED]
    for body in ({"model": "homeedit"}, {"name": SERVED}):
        shown = ask(FakeEngine(), "POST", "/api/show", json=body).json()
        assert shown["model_info"]["llama.context_length"] == 2048 and shown["capabilities"] == ["completion"]


def test_a_chat_is_streamed_unless_told_otherwise() -> None:
    said = 'dem "Töpfchen"\u2028\n.'
    found = lines(post(FakeEngine(says("Unter ", said)), "/api/chat", messages=HELLO))
    assert [each["message"] for each in found] == [
        {"role": "assistant", "content": text} for text in ("Unter ", said, "")
    ]
    assert [each["done"] for each in found] == [False, False, True]
    assert {each["model"] for each in found} == {SERVED} and all(each["created_at"].endswith("Z") for each in found)
    last = found[-1]
    assert (last["done_reason"], last["total_duration"], last["eval_duration"]) == ("stop", 1_750_000_000, 10**9)
    assert (last["prompt_eval_count"], last["eval_count"]) == (12, 2)


def test_an_answer_at_once() -> None:
    found = post(FakeEngine(), "/api/chat", messages=HELLO, stream=False).json()
    assert found["message"] == {"role": "assistant", "content": "Under the pot."} and found["done"]
    found = post(FakeEngine(), "/api/generate", prompt="Where?", stream=False).json()
    assert found["response"] == "Under the pot." and found["eval_count"] == 2


def test_a_prompt_is_a_turn_or_raw_text() -> None:
    engine = FakeEngine()
    found = lines(post(engine, "/api/generate", prompt="Where?", system="Be brief."))
    assert "".join(each["response"] for each in found) == "Under the pot." and found[-1]["done"]
    assert engine.asked[0].turns == (Turn("system", "Be brief."), Turn("user", "Where?"))
    post(engine, "/api/generate", prompt="The key", raw=True)
    assert engine.asked[1].prompt == "The key" and not engine.asked[1].turns


def test_calls() -> None:
    call = ToolCall("call_1", "lights", {"on": True})
    engine = FakeEngine(says(reason="tool_calls", tool_calls=(call,)))
    tool = {"type": "function", "function": {"name": "lights", "parameters": {"type": "object"}}}
    found = lines(post(engine, "/api/chat", messages=HELLO, tools=[tool]))
    functions = [each["function"] for line in found for each in line["message"].get("tool_calls", [])]
    assert functions == [{"name": "lights", "arguments": {"on": True}}]
    assert found[-1]["done"] and "tool_calls" not in found[-1]["message"]
    assert engine.asked[0].tools[0].name == "lights"


def test_options_reach_the_engine() -> None:
    engine = FakeEngine()
    options = {
        "num_ctx": 8192.0,
        "num_predict": 9,
        "temperature": 0.5,
        "top_k": 40,
        "top_p": 0.9,
        "min_p": 0.1,
        "seed": 3,
        "stop": "\n",
        "repeat_penalty": 1.1,
        "repeat_last_n": -1,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
        "mirostat": 1,
    }
    answer = post(
        engine,
        "/api/chat",
        messages=[
            {"role": "assistant", "content": None, "thinking": "…", "tool_calls": [{"function": {"name": "x"}}]},
            {"role": "tool", "content": "done", "images": None},
        ],
        options=options,
        keep_alive=-1,
        think=False,
        format={"type": "string"},
    )
    assert answer.status_code == 200, answer.text
    asked = engine.asked[0]
    sampling = asked.sampling
    assert asked.turns[0].tool_calls == ({"id": "", "name": "x", "arguments": {}},)
    assert (asked.max_tokens, asked.stop, sampling.seed, sampling.top_k) == (9, ("\n",), 3, 40)
    assert (sampling.temperature, sampling.top_p, sampling.min_p, sampling.repeat_penalty) == (0.5, 0.9, 0.1, 1.1)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (0.5, 0.25)
    assert sampling.penalty_window > 2048 and json.loads(sampling.json_schema) == {"type": "string"}


@pytest.mark.parametrize("limit", [-1, -2, 0, None])
def test_some_numbers_mean_no_limit(limit: int | None) -> None:
    engine = FakeEngine()
    post(engine, "/api/chat", messages=HELLO, options={"num_predict": limit}, format="json", keep_alive="5m")
    assert engine.asked[0].max_tokens is None
    assert json.loads(engine.asked[0].sampling.json_schema) == {"type": "object"}


@pytest.mark.parametrize(("path", "fields"), [("/api/chat", {"messages": []}), ("/api/generate", {"prompt": ""})])
def test_asking_nothing_only_loads(path: str, fields: dict[str, Any]) -> None:
    engine = FakeEngine()
    (found,) = lines(post(engine, path, **fields))
    assert found["done"] and found["done_reason"] == "load"
    assert post(engine, path, stream=False).json()["done_reason"] == "load"
    assert not engine.asked
    assert post(engine, path, model="llama3", **fields).status_code == 404


def test_our_models_need_not_be_pulled() -> None:
    assert lines(post(FakeEngine(), "/api/pull"))[-1] == {"status": "success"}
    assert post(FakeEngine(), "/api/pull", stream=False).json() == {"status": "success"}
    answer = post(FakeEngine(), "/api/pull", model="llama3")
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("model 'llama3' not found: there is homeedit:latest and")


@pytest.mark.parametrize("stream", [False, True])
def test_refusals_are_texts(stream: bool) -> None:
    answer = post(FakeEngine(fails("too_long", "Too long.")), "/api/chat", messages=HELLO, stream=stream)
    assert answer.status_code == 400 and answer.json() == {"error": "Too long."}
    answer = post(FakeEngine(fails("failed", "It broke.", "Under ")), "/api/chat", messages=HELLO)
    assert lines(answer)[-1] == {"error": "It broke."}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/generate", {"prompt": "x", "suffix": "y"}),
        ("/api/generate", {"prompt": "x", "images": ["aGk="]}),
        ("/api/chat", {"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}),
        ("/api/chat", {"messages": HELLO, "format": "xml"}),
        ("/api/chat", {"messages": HELLO, "options": {"temperature": -1}}),
        ("/api/chat", {"messages": HELLO, "options": {"num_predict": True}}),
        ("/api/chat", {"messages": [{"role": "root", "content": "x"}]}),
        ("/api/embed", {"input": "x"}),
        ("/api/create", {"from": "x"}),
    ],
)
def test_what_cannot_be_is_refused(path: str, fields: dict[str, Any]) -> None:
    engine = FakeEngine()
    answer = post(engine, path, **fields)
    assert answer.status_code == 400 and isinstance(answer.json()["error"], str)
    assert not engine.asked


def test_curl_calls_json_a_form() -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = ask(FakeEngine(), "POST", "/api/generate", content=b'{"model":"homeedit","prompt":"x"}', headers=form)
    assert lines(answer)[-1]["done"]
