"""What clients ask of the server, and what they hear: plain values, the same for every protocol."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from homeedit.runtime.sampling import Sampling as Sampling

SERVED, BASE = "homeedit:latest", "homeedit-base:latest"
"""The names under which the edited model and the base model answer."""


def model_named(name: str) -> str | None:
    """The full name of one of the two models, for what a client calls it; None when there is none of that name."""
    return next((known for known in (SERVED, BASE) if name in (known, known.removesuffix(":latest"))), None)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation. ``role``: system, user, assistant or tool."""

    role: str
    content: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """Of an assistant: ``{"id", "name", "arguments": {…}}`` each."""
    tool_call_id: str = ""
    """Of a tool: the call that it answers."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. ``parameters`` is a JSON schema."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A conversation to answer (``turns``), or a text to continue as it is (``prompt``)."""

    model: str = SERVED
    turns: tuple[Turn, ...] = ()
    prompt: str | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """auto, none, required, or the name of the one function to call."""
    sampling: Sampling = field(default_factory=Sampling)
    max_tokens: int | None = None
    """None: a quarter of the context at most, so that one who does not say keeps no other waiting for minutes."""
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    """None: no logprobs; 0: of the chosen tokens alone."""


@dataclass(frozen=True, slots=True)
class TokenSaid:
    """A token of the answer: its bytes, and what the model thought of it and of the likeliest others."""

    data: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that the model calls."""

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Began:
    """The request's turn has come; ``build`` None is the base model."""

    model: str
    build: int | None


@dataclass(frozen=True, slots=True)
class Spoke:
    """More of the answer: whole characters, never part of a stop string. ``tokens`` only when logprobs were asked for
    (their bytes may run ahead of ``text``, where a character takes several tokens)."""

    text: str
    tokens: tuple[TokenSaid, ...] = ()
    count: int = 1
    """Tokens that this took: more than one where text was held back until it was certain."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last event of an answer that went well. Seconds; ``waited`` in the queue, ``loading`` a model for it."""

    reason: Literal["stop", "length", "tool_calls", "cancelled"]
    prompt_tokens: int
    answer_tokens: int
    waited: float
    loading: float
    reading: float
    """Of the prompt, up to the first token."""
    speaking: float
    """From the first token on."""
    build: int | None
    tool_calls: tuple[ToolCall, ...] = ()
    dropped: int = 0
    """Oldest turns that did not fit into the context."""
    cached_tokens: int = 0
    """Of the prompt, known from the question before."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The last event of an answer that did not: what to tell the client. ``kind``: invalid (the request is wrong),
    not_found (no such model), too_long (the prompt does not fit), busy (the queue is full), failed (our fault)."""

    kind: Literal["invalid", "not_found", "too_long", "busy", "failed"]
    message: str


Event = Began | Spoke | Ended | Failed
OnEvent = Callable[[Event], None]


class Ticket(Protocol):
    """A request that was handed in."""

    def cancel(self) -> None:
        """Take it out of the queue, or stop its answer after the current token. Harmless when it has ended."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as clients list it. ``digest``: sha256 in hex; ``modified``: ISO 8601 with a zone."""

    name: str
    build: int | None
    gguf: str
    bytes: int
    digest: str
    modified: str
    architecture: str
    parameters: int
    quantization: str
    context: int
    loaded: bool
    template: str = ""
    capabilities: tuple[str, ...] = ("completion",)
    """"tools" too when the model's chat template has a place for them."""


@dataclass(frozen=True, slots=True)
class ServingState:
    """How the server is. ``problem`` is empty, or says why a newer build is not served."""

    model: str
    build: int | None
    since: float
    """Unix time at which that build went live."""
    started: float
    mode: Literal["build", "live-lora"]
    problem: str
    requests: int
    failed: int
    cancelled: int
    running: int
    waiting: int
    prompt_tokens: int
    answer_tokens: int
    speaking_seconds: float
    swaps: int
    facts: int
    """Facts in the live build."""
    recent_tokens_per_second: float
    """Of the last answer; 0 before the first."""
    note: str = ""
    """Empty, or what is worth knowing and no problem: that memory is short, so that builds are swapped with a pause."""


class Answering(Protocol):
    """What the server's routes need of the engine; ``Serving`` is the real one, tests have their own."""

    def submit(self, request: AnswerRequest, on_event: OnEvent, *, client: str) -> Ticket:
        """Hand in a request; never blocks, never raises for what a client sent. ``on_event`` is called from the
        worker's thread: Began, Spoke …, and Ended or Failed as the last. What can be said at once is: Failed("busy")
        from the thread that calls ``submit``, Ended("cancelled") of a request that waits from the one that calls
        ``cancel``. Clients take turns, each with its oldest."""
        ...

    def models(self) -> Sequence[ServedModel]:
        """The two models, from memory: quick whatever the machine is doing."""
        ...

    def state(self) -> ServingState:
        """Counters and what is live, from memory."""
        ...
