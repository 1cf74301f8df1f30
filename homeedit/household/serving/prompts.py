"""From a request to the token ids that the model reads: as much of a conversation as fits."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from homeedit.errors import HomeEditError
from homeedit.household.serving.requests import AnswerRequest, Tool, Turn
from homeedit.runtime.llama import Runtime

LEAST_ROOM = 16
"""Tokens that an answer needs at least, unless its client wants fewer."""
ANSWERS_SHARE = 4
"""One in so many of the context's tokens: an answer has them, turns make room for them, who wants more must ask."""


class Refused(Exception):
    """The request cannot be answered as it is; ``kind`` as in ``Failed``."""

    def __init__(self, kind: Any, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads, in pieces for ``Runtime.stream``, and how many turns were left out for that."""

    pieces: list[list[int]]
    dropped: int = 0
    most: int = 0
    """Tokens that the answer may have."""

    @property
    def tokens(self) -> int:
        """How many token ids."""
        return sum(map(len, self.pieces))


def prompt_of(runtime: Runtime, request: AnswerRequest, tools: Sequence[Tool]) -> Prompt:
    """The request as tokens that leave room for an answer; ``tools`` are those that the template is to show.

    Raises:
        Refused: it does not fit, or the model's template refuses the conversation.
    """
    # An answer cut off after 16 tokens helps nobody: a quarter of the context is for it, if turns can go.
    quarter = runtime.context // ANSWERS_SHARE
    wanted = quarter if request.max_tokens is None else max(0, request.max_tokens)
    least = min(LEAST_ROOM, wanted)
    if request.prompt is not None:
        prompt = Prompt(runtime.continuation(request.prompt))
    else:
        if not request.turns:
            raise Refused("invalid", "There is no message to answer.")
        prompt = _conversation(runtime, request.turns, tools, runtime.context - max(least, min(quarter, wanted)))
    if prompt.tokens == 0:
        raise Refused("invalid", "The prompt is empty.")
    if prompt.tokens > runtime.context - least:
        raise Refused(
            "too_long",
            f"The prompt has {prompt.tokens} tokens; the model's context holds {runtime.context}, answer included. "
            "Shorten what is sent each time (instructions, tools) or the question.",
        )
    return replace(prompt, most=min(wanted, runtime.context - prompt.tokens))


def _conversation(runtime: Runtime, turns: Sequence[Turn], tools: Sequence[Tool], room: int) -> Prompt:
    """The conversation without as many of its oldest turns as it takes to need at most ``room`` tokens; if nothing
    more can go, it is longer."""
    shown = [_tool(tool) for tool in tools] or None

    def rendered(begin: int) -> Prompt:
        kept = [*turns[:system], *turns[begin:]]
        try:
            return Prompt(runtime.conversation([_message(turn) for turn in kept], shown), begin - system)
        except HomeEditError as error:
            raise Refused("invalid", error.message) from error

    system = _leading_system_turns(turns)
    whole = rendered(system)
    if whole.tokens <= room:
        return whole
    begins = _beginnings(turns, system)
    # Fewer turns are fewer tokens, so that few tries find the first that fits, of however many turns.
    found = bisect_left(begins, True, key=lambda begin: rendered(begin).tokens <= room)
    return rendered(begins[min(found, len(begins) - 1)])


def _leading_system_turns(turns: Sequence[Turn]) -> int:
    """How many turns at the beginning are the system's; the last turn is not counted."""
    return next((at for at, turn in enumerate(turns[:-1]) if turn.role != "system"), len(turns) - 1)


def _beginnings(turns: Sequence[Turn], system: int) -> list[int]:
    """Where what is kept behind the system's turns may begin, oldest first: at a question; behind the last question
    anywhere, for want of something better."""
    last = len(turns) - 1
    questions = [at for at in range(system, last + 1) if turns[at].role == "user"]
    after = range(questions[-1] + 1 if questions else system, last + 1)
    return [*questions, *after]


def _message(turn: Turn) -> dict[str, Any]:
    """A turn as chat templates expect it."""
    message: dict[str, Any] = {"role": turn.role, "content": turn.content}
    if turn.tool_calls:
        message["tool_calls"] = [
            {
                "type": "function",
                "id": call.get("id", ""),
                "function": {"name": call.get("name", ""), "arguments": call.get("arguments", {})},
            }
            for call in turn.tool_calls
        ]
    if turn.tool_call_id:
        message["tool_call_id"] = turn.tool_call_id
    if turn.name:
        message["name"] = turn.name
    return message


def _tool(tool: Tool) -> dict[str, Any]:
    """A tool as chat templates expect it."""
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}
