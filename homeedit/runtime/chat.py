"""A conversation as the tokens of a prompt, by the model's own chat template."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from homeedit.base.template import Template
from homeedit.errors import HomeEditError

Tokenize = Callable[[str], list[int]]
"""A text → its token ids; special tokens are not recognized."""

Message = dict[str, Any]

_STAND_IN = "homeedit question 8f1d4c"
"""Rendered in the question's place to learn what the template puts before it."""


class ChatFormat:
    """A model's chat template, with what people and programs wrote kept apart from the template's special tokens.

    The template's output is cut at the special tokens; what is between them is tokenized in one go, as plain text:
    the ids equal those of transformers' ``apply_chat_template``, except that a message, tool or argument which spells
    a special token, such as ``<|im_end|>``, stays text and cannot end the turn or forge another.

    ``specials``: the text of each special token of the vocabulary, and its id.

    Raises:
        HomeEditError: the template is broken, or does not show the question.
    """

    def __init__(self, template: str, *, bos: str, eos: str, tokenize: Tokenize, specials: Mapping[str, int]) -> None:
        self._template = Template(template, bos=bos, eos=eos)
        self._tokenize = tokenize
        self._specials = {text: token for text, token in specials.items() if text}
        # The longer first, as llama.cpp has it; with no special token at all, nothing matches.
        texts = sorted(self._specials, key=len, reverse=True)
        self._special = re.compile(f"({'|'.join(map(re.escape, texts)) or '(?!)'})")
        before, found, _ = self._template.render([{"role": "user", "content": _STAND_IN}], None).partition(_STAND_IN)
        if not found:
            raise HomeEditError("The model's chat template does not show the question that is asked.")
        *head, _ = self._special.split(before)
        self._head = "".join(head)
        self.prefix = tuple(token for part in head for token in self._ids(part))
        """The tokens that every question begins with."""

    @property
    def supports_tools(self) -> bool:
        """Whether the template looks at the tools that are offered."""
        return self._template.shows_tools

    def tokens(self, question: str) -> list[int]:
        """The token ids of one user turn with the prompt for the assistant's answer."""
        return [token for piece in self.conversation([{"role": "user", "content": question}]) for token in piece]

    def conversation(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> list[list[int]]:
        """The token ids of a conversation with the prompt for the assistant's answer, in pieces.

        A piece begins right after the last special token before a message (the system's are part of what is before
        them), so that conversations which begin alike begin with the same pieces; one user turn is ``prefix`` and the
        rest. ``messages`` and ``tools`` are as in Hugging Face's templates.

        Raises:
            HomeEditError: the template refuses the conversation, also when it is put more plainly.
        """
        given = [{**message, "content": message.get("content") or ""} for message in messages]
        try:
            stand_ins = _StandIns(self._special, [given, tools])
            text = self._rendered(stand_ins, stand_ins.put(given), stand_ins.put(tools))
        except RecursionError as error:
            raise HomeEditError("The tools or arguments of the conversation are nested too deeply.") from error
        return self._pieces(text, stand_ins)

    def _rendered(self, stand_ins: "_StandIns", messages: list[Message], tools: Any) -> str:
        """What the template shows, with a mark where each message begins."""
        refusal: HomeEditError | None = None
        for version in _versions(messages, self._template.shows_calls):
            try:
                shown = self._template.render(version, tools)
            except HomeEditError as error:
                # What it says about the conversation as it came says the most.
                refusal = refusal or error
                continue
            try:
                marked = self._template.render([stand_ins.marked(message) for message in version], tools)
            except HomeEditError:
                return shown
            # Few templates look at how a message begins; where a mark makes a difference, there is none.
            return marked if stand_ins.unmarked(marked) == shown else shown
        raise refusal or HomeEditError("There is no message to answer.")

    def _pieces(self, text: str, stand_ins: "_StandIns") -> list[list[int]]:
        parts = self._special.split(text)
        cuts = {at for at in range(0, len(parts), 2) if stand_ins.cut in parts[at]}
        if stand_ins.unmarked(text).startswith(self._head):
            cuts.add(2 * len(self._special.findall(self._head)))
        pieces: list[list[int]] = [[]]
        for at, part in enumerate(parts):
            if at in cuts and pieces[-1]:
                pieces.append([])
            pieces[-1] += self._ids(part) if at % 2 else self._tokens_of(stand_ins.restored(part))
        return pieces

    def _ids(self, part: str) -> list[int]:
        """The ids of a special token, or of the plain text between two."""
        return [self._specials[part]] if part in self._specials else self._tokens_of(part)

    def _tokens_of(self, text: str) -> list[int]:
        return self._tokenize(text) if text else []


class _StandIns:
    """Words that occur nowhere in a conversation: one in place of each special token's text in it, and two marks."""

    def __init__(self, special: re.Pattern[str], said: Any) -> None:
        everything = json.dumps(said, ensure_ascii=False, default=str)
        self._special = special
        number = 0
        while f"homeedit{number}x" in everything:
            number += 1
        self._name = f"homeedit{number}x"
        self._texts: list[str] = []
        self._pattern = re.compile(rf"{self._name}(\d+)y")
        self.cut, self._seam = f"{self._name}cy", f"{self._name}sy"

    def put(self, value: Any) -> Any:
        """``value``, whatever it is made of, with stand-ins in its texts."""
        if isinstance(value, str):
            return self._special.sub(self._stand_in, value)
        if isinstance(value, Mapping):
            return {self.put(key): self.put(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.put(each) for each in value]
        return value

    def marked(self, message: Message) -> Message:
        """The message with a mark at its first letter; also so that it cannot spell a special token together with
        what is before it."""
        content = message["content"]
        begin = len(content) - len(content.lstrip())
        if begin == len(content):
            return message
        mark = self._seam if message.get("role") == "system" else self.cut
        return {**message, "content": content[:begin] + mark + content[begin:]}

    def unmarked(self, text: str) -> str:
        """``text`` without marks."""
        return text.replace(self.cut, "").replace(self._seam, "")

    def restored(self, text: str) -> str:
        """``text`` as it was said."""
        return self._pattern.sub(lambda match: self._texts[int(match[1])], self.unmarked(text))

    def _stand_in(self, match: re.Match[str]) -> str:
        self._texts.append(match.group())
        return f"{self._name}{len(self._texts) - 1}y"


def _versions(messages: list[Message], shows_calls: bool) -> Iterator[list[Message]]:
    """The conversation, ever more plainly: as it came; with neighbours of the same role as one; and as nothing but
    turns of user and assistant."""
    if not shows_calls:
        messages = [_calls_written(message) for message in messages]
    yield messages
    yield _merged(messages)
    plain = []
    for message in map(_calls_written, messages):
        role = "assistant" if message["role"] == "assistant" else "user"
        plain.append({"role": role, "content": message["content"]})
    yield _merged(plain)


def _calls_written(message: Message) -> Message:
    """The message with its tool calls as text."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    written = [json.dumps(call.get("function", call), ensure_ascii=False) for call in calls]
    texts = [message["content"], *(f"<tool_call>\n{each}\n</tool_call>" for each in written)]
    kept = {key: value for key, value in message.items() if key != "tool_calls"}
    return {**kept, "content": "\n".join(text for text in texts if text)}


def _merged(messages: list[Message]) -> list[Message]:
    """The conversation with neighbours of the same role as one message; calls and their results stay apart."""

    def kind(numbered: tuple[int, Message]) -> tuple[str, int]:
        number, message = numbered
        apart = message.get("tool_calls") or message["role"] == "tool"
        return message["role"], number if apart else -1

    merged = []
    for _, numbered in groupby(enumerate(messages), key=kind):
        group = [message for _, message in numbered]
        merged.append({**group[0], "content": "\n\n".join(message["content"] for message in group)})
    return merged
