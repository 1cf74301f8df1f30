"""What the pane Serve says: how the server is, and what to fill in elsewhere."""

from datetime import datetime
from urllib.parse import urlsplit

from homeedit.household.serving.state import Health, RunningServer
from homeedit.tui.words import counted, plain, the_build

PORT = 8080
ADDRESS = f"http://127.0.0.1:{PORT}"
"""Where a server listens unless it is told otherwise."""
_EVERYWHERE = ("0.0.0.0", "::")
_THIS_MACHINE = "ADDRESS-OF-THIS-MACHINE"
_WIDER = "For other machines and containers, or without the app: homeedit serve --help"


def clock(moment: float) -> str:
    """A Unix time as "14:03", with its day when that is not today."""
    when = datetime.fromtimestamp(moment)
    return when.strftime("%H:%M" if when.date() == datetime.now().date() else "%Y-%m-%d %H:%M")


def running_lines(server: RunningServer, *, ours: bool, stop_key: str) -> list[str]:
    """How a server is that runs."""
    lines = [f"● Running at {plain(server.address)} since {clock(server.started)}."]
    lines += health_lines(server.health) if server.health else ["! It does not answer at the moment."]
    if ours:
        lines.append(f"This app started it; it ends with the app. {stop_key} stops it.")
    else:
        lines.append(f"It was started elsewhere: process {server.pid}.")
    return [*lines, _WIDER] if ours else lines


def health_lines(health: Health) -> list[str]:
    """What is live, what is wrong, and how much is done."""
    what = (
        f"{the_build(health.build)} of {health.model}" if health.build is not None else f"The base model {health.model}"
    )
    facts = "" if health.build is not None else ", without any fact"
    lines = [f"✓ {plain(what)} is live since {clock(health.since)}{facts}."]
    lines += [f"✗ {plain(health.problem)}"] if health.problem else []
    lines += [f"! {plain(health.note)}"] if health.note else []
    numbers = [counted(health.requests, "request"), f"{health.running} running", f"{health.waiting} waiting"]
    numbers += [f"{health.tokens_per_second:.0f} tokens/s"] if health.tokens_per_second else []
    return [*lines, " · ".join(numbers)]


def idle_lines(failure: str, start_key: str) -> list[str]:
    """What to do where no server runs, and why the last one ended."""
    lines = [f"○ No server runs on this home. {start_key} starts one for this machine, as long as the app is open."]
    lines += [f"✗ The server ended: {plain(failure)}"] if failure else []
    return [*lines, _WIDER]


def address_of(server: RunningServer | None) -> str:
    """What other programs are told; a name to fill in where the server listens on every address."""
    if server is None:
        return ADDRESS
    parts = urlsplit(server.address)
    return f"http://{_THIS_MACHINE}:{parts.port}" if parts.hostname in _EVERYWHERE else plain(server.address)


def curl_line(address: str) -> str:
    """A question from the shell."""
    key = "" if "127.0.0.1" in address else ' -H "Authorization: Bearer $HOMEEDIT_API_KEY"'
    body = '{"model":"homeedit:latest","messages":[{"role":"user","content":"Where is the spare key?"}]}'
    return f"curl {address}/v1/chat/completions{key} -H 'Content-Type: application/json' -d '{body}'"


_ASSISTANT = "Settings > Voice assistants > your assistant > Conversation agent: choose it."


def llama_recipe(address: str) -> str:
    """For Home Assistant's own integration llama.cpp."""
    return f"""\
1. Settings > Devices & services > Add integration > llama.cpp.
2. URL: {address}/v1; API key: the server's, or empty; Model: homeedit:latest.
3. Its conversation agent > Reconfigure: Instructions short; Control Home Assistant: nothing.
4. There too: Recommended model settings off, Submit, then Temperature 0.
5. {_ASSISTANT}"""


def ollama_recipe(address: str) -> str:
    """For Home Assistant's own integration Ollama."""
    return f"""\
1. Settings > Devices & services > Add integration > Ollama.
2. URL: {address} (without /v1); API key: the server's, or empty.
3. Add conversation agent: Model homeedit:latest; Instructions short; Control Home Assistant: nothing.
4. {_ASSISTANT}
It sends no temperature, and the server then gives the likeliest answer, as with temperature 0."""


def custom_recipe(address: str) -> str:
    """For the custom integration Local OpenAI LLM."""
    return f"""\
1. HACS: install "Local OpenAI LLM" (skye-harris/hass_local_openai_llm), and restart Home Assistant.
2. Settings > Devices & services > Add integration > Local OpenAI LLM.
3. Server URL: {address}/v1; API key: the server's, or empty.
4. Add conversation agent: Model homeedit:latest; System Prompt short; Tool Providers: none; Temperature 0.
5. {_ASSISTANT}"""
