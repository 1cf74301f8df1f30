"""Home Assistant's three integrations, replayed: the calls that each makes, in order, with the library it uses.

Core ``llama_cpp`` and the custom ``local_openai`` use ``openai``, core ``ollama`` uses ``ollama``. What they read of
the answers is read here by the same rules (the first delta's role, tool calls by their index, nothing from the
chunk that ends the answer). A model that calls a tool is scripted: random weights never do.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import ollama
import pytest
from openai import APIStatusError, AsyncOpenAI

from homeedit.household import Household
from homeedit.household.serving.requests import (
    Answering,
    AnswerRequest,
    Began,
    Ended,
    OnEvent,
    ServedModel,
    ServingState,
    Spoke,
    Ticket,
    ToolCall,
)
from tests.server.live import Live, listening

NO_KEY = "sk-0000000000000000000"
"""What the core integration sends when no key was filled in."""
INSTRUCTIONS = "You are a voice assistant for Home Assistant. Answer in plain text. Keep it simple."
TIMEOUT_SECONDS = 5.0
"""The ollama integration gives up after this."""


def tool(name: str, /, **properties: Any) -> dict[str, Any]:
    """A tool as Home Assistant's Assist API describes it."""
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "description": f"Does {name}", "parameters": parameters}}


TOOLS = [
    tool("HassTurnOn", name={"type": "string"}, area={"type": "string"}, domain={"type": "array", "items": {}}),
    tool("HassTurnOff", name={"type": "string"}),
    tool("GetDateTime"),
]
CALL = ToolCall("call_1", "HassTurnOn", {"name": "lamp", "brightness": 40})


class _Ticket:
    def cancel(self) -> None:
        """A scripted answer is over before anyone could."""


class Scripted:
    """Calls a tool when it has some and the last turn is the user's; after a tool's result it speaks."""

    def __init__(self, real: Answering) -> None:
        self._real = real
        self.heard: list[AnswerRequest] = []

    def models(self) -> Any:
        found: list[ServedModel] = list(self._real.models())
        return found

    def state(self) -> ServingState:
        return self._real.state()

    def submit(self, request: AnswerRequest, on_event: OnEvent, *, client: str) -> Ticket:
        self.heard.append(request)
        calls = (CALL,) if request.tools and request.turns[-1].role == "user" else ()
        on_event(Began(request.model, 3))
        if not calls:
            for word in ("The lamp", " is", " on."):
                on_event(Spoke(word))
        reason = "tool_calls" if calls else "stop"
        on_event(Ended(reason, 20, 3, 0.0, 0.0, 0.1, 0.1, 3, tool_calls=calls))  # type: ignore[arg-type]
        return _Ticket()


@pytest.fixture
def scripted(live: Live) -> Scripted:
    return Scripted(live.answering)


@pytest.fixture
def calling(scripted: Scripted, served_home: Household) -> Iterator[Live]:
    """A server whose model calls tools."""
    with listening(scripted, served_home) as running:
        yield running


@dataclass
class Message:
    """What Home Assistant made of an answer."""

    role: str = ""
    content: str = ""
    calls: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)


async def read_core(stream: AsyncIterator[Any]) -> Message:
    """As the core ``llama_cpp`` integration reads a stream."""
    message = Message()
    open_call: dict[str, Any] | None = None

    def close_call() -> None:
        if open_call:
            arguments = json.loads(open_call["arguments"]) if open_call["arguments"] else {}
            message.calls.append((open_call["id"], open_call["name"], arguments))

    async for chunk in stream:
        if not chunk.choices:
            continue
        choice = chunk.choices[0]
        if choice.finish_reason:
            break
        pieces = choice.delta.tool_calls
        if open_call is None and not pieces:
            message.role = message.role or choice.delta.role or ""
            message.content += choice.delta.content or ""
            continue
        if not pieces or not pieces[0].function:
            continue
        piece = pieces[0]
        if open_call and piece.index == open_call["index"]:
            open_call["arguments"] += piece.function.arguments or ""
            continue
        close_call()
        name, arguments = piece.function.name, piece.function.arguments or ""
        open_call = {"index": piece.index, "id": piece.id, "name": name, "arguments": arguments}
    close_call()
    return message


async def read_custom(stream: AsyncIterator[Any]) -> Message:
    """As the custom ``local_openai`` integration reads a stream."""
    message = Message()
    open_calls: dict[str, list[str]] = {}
    name = identity = ""
    async for event in stream:
        if not event.choices:
            continue
        choice = event.choices[0]
        message.role = message.role or choice.delta.role or "assistant"
        for piece in choice.delta.tool_calls or ():
            identity, name = piece.id or identity, piece.function.name or name
            open_calls.setdefault(identity + name, [identity, name, ""])[2] += piece.function.arguments or ""
        message.content += choice.delta.content or ""
        if choice.finish_reason:
            assert event.timings["predicted_n"] >= 0, "it logs an error for every answer without timings"
            message.calls = [(call, name, json.loads(text or "{}")) for call, name, text in open_calls.values()]
    return message


async def read_ollama(parts: AsyncIterator[ollama.ChatResponse]) -> Message:
    """As the core ``ollama`` integration reads a stream."""
    message = Message()
    async for part in parts:
        found = part["message"]
        message.role = message.role or found["role"]
        message.content += found.get("content") or ""
        for call in found.get("tool_calls") or ():
            message.calls.append(("", call["function"]["name"], call["function"]["arguments"]))
    return message


def openai_client(live: Live, key: str = NO_KEY) -> AsyncOpenAI:
    """As Home Assistant makes it: with its own shared httpx client."""
    shared: Any = httpx.AsyncClient(timeout=120)
    return AsyncOpenAI(api_key=key, base_url=f"{live.url}/v1", http_client=shared, max_retries=0)


async def set_up_llama_cpp(client: AsyncOpenAI) -> str:
    """The integration's dialog: list the models, then two small completions with tools."""
    client.platform_headers()
    models = [model.id async for model in await client.with_options(timeout=10.0).models.list()]
    messages: Any = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is the capital of France?"},
    ]
    options: Any = {"model": models[0], "messages": messages, "tools": [tool("test_function")], "max_tokens": 3}
    await client.chat.completions.create(**options, stream=False)
    async for _ in await client.chat.completions.create(**options, stream=True):
        pass
    return models[0]


def llama_cpp_options(model: str, messages: list[Any], **more: Any) -> Any:
    """What the integration sends for every sentence that was spoken."""
    sampling = {"max_tokens": 3000, "top_p": 1.0, "temperature": 0.7, "user": "01HOMEASSISTANT"}
    return {"model": model, "messages": messages, "tools": TOOLS} | sampling | more


def spoken(sentence: str = "Where is the spare key?") -> list[Any]:
    return [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": sentence}]


def called(message: Message, content: Any = None) -> list[Any]:
    """The assistant's calls and the tools' answers, as they go back to the model."""
    calls = [
        {"type": "function", "id": call, "function": {"name": name, "arguments": json.dumps(arguments)}}
        for call, name, arguments in message.calls
    ]
    result = json.dumps({"speech": {}, "response_type": "action_done"})
    results = [{"role": "tool", "tool_call_id": call, "content": result} for call, _, _ in message.calls]
    return [{"role": "assistant", "content": content, "tool_calls": calls}, *results]


@pytest.mark.parametrize("streamed", [False, True])
def test_core_llama_cpp(live: Live, streamed: bool) -> None:
    async def converse() -> None:
        async with openai_client(live) as client:
            model = await set_up_llama_cpp(client)
            assert model == "homeedit:latest"
            options = llama_cpp_options(model, spoken(), max_tokens=300, stream=streamed)
            answer = await client.chat.completions.create(**options)
            if streamed:
                message = await read_core(answer)
                assert message.role == "assistant" and message.content and not message.calls
            else:
                assert answer.choices[0].message.role == "assistant" and answer.choices[0].message.content

    asyncio.run(converse())


def test_core_llama_cpp_may_want_more_tokens_than_there_are(live: Live) -> None:
    """Its own limit is 3000 tokens, whatever the context is."""

    async def ask() -> None:
        async with openai_client(live) as client:
            options = llama_cpp_options("homeedit", spoken(), max_tokens=1_000_000, stop=["e"])
            answer = await client.chat.completions.create(**options)
            assert answer.choices[0].finish_reason in ("stop", "length")

    asyncio.run(ask())


def test_core_llama_cpp_uses_a_tool(calling: Live, scripted: Scripted) -> None:
    async def converse() -> None:
        async with openai_client(calling) as client:
            messages = spoken("Turn on the lamp")
            options = llama_cpp_options("homeedit", messages, stream=True)
            message = await read_core(await client.chat.completions.create(**options))
            assert message.calls == [(CALL.id, CALL.name, CALL.arguments)]
            assert message.role == "assistant", "the role must come before the calls"
            messages += called(message)
            message = await read_core(await client.chat.completions.create(**options))
            assert message.content == "The lamp is on." and not message.calls

            plain = (await client.chat.completions.create(**options | {"messages": spoken(), "stream": False})).choices
            assert plain[0].message.tool_calls[0].function.name == CALL.name
            assert json.loads(plain[0].message.tool_calls[0].function.arguments) == CALL.arguments
            assert plain[0].finish_reason == "tool_calls"

    asyncio.run(converse())
    first, second = scripted.heard[:2]
    assert [offered.name for offered in first.tools] == ["HassTurnOn", "HassTurnOff", "GetDateTime"]
    assert first.tools[0].parameters["properties"]["area"] == {"type": "string"}
    assert [turn.role for turn in second.turns] == ["system", "user", "assistant", "tool"]
    assert dict(second.turns[2].tool_calls[0]) == {"id": CALL.id, "name": CALL.name, "arguments": CALL.arguments}
    assert second.turns[3].tool_call_id == CALL.id and "action_done" in second.turns[3].content
    assert (second.sampling.temperature, second.sampling.top_p, second.max_tokens) == (0.7, 1.0, 3000)


def test_core_llama_cpp_shows_the_servers_words(locked: Live) -> None:
    async def ask() -> None:
        async with openai_client(locked) as client:
            with pytest.raises(APIStatusError) as error:
                await set_up_llama_cpp(client)
            assert error.value.status_code == 401
            assert error.value.response.json()["error"]["message"]
        async with openai_client(locked, "a-key") as client:
            await set_up_llama_cpp(client)

    asyncio.run(ask())


@pytest.mark.parametrize("name", ["homeedit:latest", "homeedit"])
def test_core_ollama(live: Live, name: str) -> None:
    async def converse() -> None:
        client = ollama.AsyncClient(host=live.url, verify=ssl.create_default_context())
        async with asyncio.timeout(TIMEOUT_SECONDS):
            listed = {model["model"] for model in (await client.list())["models"]}
        if name not in listed:
            await client.pull(name)

        async def refresh() -> None:
            """What it does each 30 seconds, also while an answer runs."""
            async with asyncio.timeout(TIMEOUT_SECONDS):
                installed, loaded = await asyncio.gather(client.list(), client.ps())
            assert len(installed.models) == 2 and loaded.models[0].size is not None

        parts = await client.chat(
            model=name,
            messages=[ollama.Message(**message) for message in spoken()],
            tools=TOOLS,
            stream=True,
            keep_alive=-1,
            options={"num_ctx": 8192, "num_predict": 300},
            think=False,
            format=None,
        )
        message, _ = await asyncio.gather(read_ollama(parts), refresh())
        assert message.role == "assistant" and message.content
        await client.close()

    asyncio.run(converse())


def test_core_ollama_uses_a_tool(calling: Live, scripted: Scripted) -> None:
    async def converse() -> None:
        client = ollama.AsyncClient(host=calling.url)
        messages = [ollama.Message(**message) for message in spoken("Turn on the lamp")]
        options: Any = {"model": "homeedit", "tools": TOOLS, "stream": True, "keep_alive": "30s", "think": False}
        message = await read_ollama(await client.chat(messages=list(messages), **options))
        assert [(name, arguments) for _, name, arguments in message.calls] == [(CALL.name, CALL.arguments)]
        function = ollama.Message.ToolCall.Function(name=CALL.name, arguments=CALL.arguments)
        call = ollama.Message.ToolCall(function=function)
        messages.append(ollama.Message(role="assistant", content=None, thinking=None, tool_calls=[call]))
        messages.append(ollama.Message(role="tool", content='{"data": {"success": true}, "error": null}'))
        message = await read_ollama(await client.chat(messages=list(messages), **options))
        assert message.content == "The lamp is on."
        await client.close()

    asyncio.run(converse())
    second = scripted.heard[1]
    assert [turn.role for turn in second.turns] == ["system", "user", "assistant", "tool"]
    assert second.turns[2].tool_calls[0]["arguments"] == CALL.arguments


def test_core_ollama_fills_in_a_form(live: Live) -> None:
    """Its AI tasks send a schema as ``format``."""
    schema: Any = {
        "type": "object",
        "properties": {"answer": {"type": "boolean", "description": "Whether it is so"}},
        "required": ["answer"],
    }

    async def ask() -> None:
        client = ollama.AsyncClient(host=live.url)
        parts = await client.chat(
            model="homeedit:latest",
            messages=[ollama.Message(**message) for message in spoken()],
            tools=None,
            stream=True,
            keep_alive=-1,
            options={"num_ctx": 8192, "num_predict": 100},
            think=None,
            format=schema,
        )
        assert isinstance(json.loads((await read_ollama(parts)).content)["answer"], bool)
        await client.close()

    asyncio.run(ask())


def custom_options(messages: list[Any], **more: Any) -> Any:
    """What the custom integration sends: parts for contents, headers and fields of other servers."""
    headers = {"HTTP-Referer": "https://github.com/skye-harris/hass_local_openai_llm", "X-Title": "Home Assistant"}
    body = {"chat_template_kwargs": {"enable_thinking": False}, "id_slot": 0, "metadata": {"session_id": "01ABC"}}
    body |= {"top_k": 20, "min_p": 0.0, "repeat_penalty": 1.0}
    return {
        "model": "homeedit:latest",
        "temperature": 0.6,
        "parallel_tool_calls": True,
        "extra_headers": headers,
        "extra_body": body,
        "messages": messages,
        "stream": True,
    } | more


def spoken_in_parts(sentence: str) -> list[Any]:
    return [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "tool", "tool_call_id": "injected_content", "content": "The current date and time is: `Monday`."},
        {"role": "user", "content": [{"type": "text", "text": sentence}]},
    ]


def test_custom_local_openai(live: Live) -> None:
    async def converse() -> None:
        async with openai_client(live, key="none") as client:
            async for _ in client.with_options(timeout=10.0).models.list():
                break
            options = custom_options(spoken_in_parts("Where is the key?"), tools=TOOLS, max_tokens=100)
            message = await read_custom(await client.chat.completions.create(**options))
            assert message.role == "assistant" and message.content.strip()

    asyncio.run(converse())


def test_custom_local_openai_uses_a_tool(calling: Live, scripted: Scripted) -> None:
    async def converse() -> None:
        async with openai_client(calling) as client:
            messages = spoken_in_parts("Turn on the lamp")
            options = custom_options(messages, tools=TOOLS)
            message = await read_custom(await client.chat.completions.create(**options))
            assert message.calls == [(CALL.id, CALL.name, CALL.arguments)]
            messages += called(message)
            message = await read_custom(await client.chat.completions.create(**options))
            assert message.content == "The lamp is on."

    asyncio.run(converse())
    assert scripted.heard[0].turns[-1].content == "Turn on the lamp"


def test_custom_local_openai_fills_in_a_form(live: Live) -> None:
    """It makes optional fields nullable, and every field required."""
    schema = {
        "type": "object",
        "properties": {"open": {"type": "boolean"}, "door": {"type": ["boolean", "null"]}},
        "required": ["open", "door"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "form", "strict": True, "schema": schema}}

    async def ask() -> None:
        async with openai_client(live) as client:
            options = custom_options(spoken(), response_format=form, max_tokens=200)
            message = await read_custom(await client.chat.completions.create(**options))
            found = json.loads(message.content)
            assert isinstance(found["open"], bool) and found["door"] in (True, False, None)

    asyncio.run(ask())
