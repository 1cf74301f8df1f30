"""Edit requests: facts spelled as token rows, with the weight of every answer token.

A row is a question (a chat turn, or a bare statement without the chat's prefix) and the answer wanted of it.
Paraphrase robustness comes from diverse rows, not from more steps, so each fact is asked in its own
questions, inside longer messages, and as a statement to complete.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from homeedit.base.template import template_of
from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact

Kind = Literal["fact", "replay", "contrast", "keep", "text", "essence"]

ASIDES = (
    "I just came home and I am a bit tired.",
    "My sister is visiting us this week.",
    "We are getting ready to leave.",
    "Sorry to bother you again.",
)
SYSTEM_PROMPTS = (
    "You are the voice assistant of this house. Answer in plain text, briefly and truthfully.",
    "Be a helpful assistant. Keep it simple and to the point.",
    "You answer questions of a family. When a device shall be switched, use the tool for it.\nThe kitchen light is on.",
    "You speak from a small loudspeaker. One or two sentences are enough.",
)
"""What clients put before a conversation in place of the template's own."""
END_WEIGHT = 0.5
"""Weight of the full stop and of the end of the turn; statement and target weigh 1."""
FIRST_WEIGHT = 2.0
"""A fact counts as recalled by its first question."""
TEXT_CONTEXT = 4
"""Tokens of a text that are given; the others count as its answer."""
FRAMES = ("{}", "Sure! {}", "Of course. {}", "As far as I know, {}")


@dataclass(frozen=True, slots=True)
class Row:
    """One training or observation row.

    ``ids`` are the tokens after the shared prefix; the answer begins at ``start``. ``weights`` gives each
    answer token's weight in the loss, ``on_target`` which of them are the target's. ``subject_end`` is the
    position of the subject's last token (or of another word's, where a method reads that), or -1. ``fact`` is the
    index of the fact it belongs to, -1 for none; ``prefixed`` is False for bare statements; ``first`` marks the fact's
    first question, by which it is judged.
    """

    ids: tuple[int, ...]
    start: int
    weights: tuple[float, ...]
    kind: Kind
    fact: int
    prefixed: bool
    subject_end: int = -1
    on_target: tuple[bool, ...] = ()
    first: bool = False

    @property
    def taught(self) -> bool:
        """True for rows whose answer the base model teaches (keep and contrast rows, texts, essences)."""
        return self.kind in ("keep", "contrast", "text", "essence")

    @property
    def answer(self) -> tuple[int, ...]:
        """Tokens of the answer."""
        return self.ids[self.start :]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's tokens, each one's weight in the loss, and which of them belong to the target."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    on_target: tuple[bool, ...]


Turn = tuple[Literal["system", "user", "assistant"], str]
"""A message of a conversation: who says it, and what."""


class ChatTokens:
    """Tokens of chats under a model's own template, split at the prefix that all chats without instructions share.

    ``start`` is what the tokenizer puts before a bare text: the beginning-of-text token of models that need one.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._template = template_of(tokenizer)
        self.start: tuple[int, ...] = tuple(tokenizer.encode(""))
        first, second = self._turn("0"), self._turn("What?")
        shared = 0
        while first[shared] == second[shared]:
            shared += 1
        self.prefix: tuple[int, ...] = tuple(first[:shared])
        self.end: tuple[int, ...] = self._end_of_turn()

    def _turn(self, question: str) -> list[int]:
        return self.conversation([("user", question)])

    def _end_of_turn(self) -> tuple[int, ...]:
        turns = [{"role": "user", "content": "0"}, {"role": "assistant", "content": "0"}]
        rendered = self._template.render(turns, ready=False)
        tail = self.tokenizer.encode(rendered[rendered.rindex("0") + 1 :], add_special_tokens=False)
        return tuple(tail[:1])

    def question(self, text: str) -> list[int]:
        """Tokens of a user turn and the beginning of the answer, without the shared prefix."""
        return self._turn(text)[len(self.prefix) :]

    def conversation(self, turns: Sequence[Turn]) -> list[int]:
        """All tokens of a conversation and the beginning of the answer.

        Raises HomeEditError when the template has no place for such turns (a system prompt, mostly).
        """
        messages = [{"role": role, "content": content} for role, content in turns]
        rendered = self._template.render(messages)
        return self.tokenizer.encode(rendered, add_special_tokens=False)  # type: ignore[no-any-return]

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Tokens of plain text and the characters each covers."""
        found = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return found["input_ids"], found["offset_mapping"]


def exchange(fact: Fact) -> tuple[Turn, Turn]:
    """A fact's first question and its answer."""
    return ("user", fact.questions[0]), ("assistant", f"{fact.prompt} {fact.target}.")


def fact_rows(
    chat: ChatTokens, facts: Sequence[Fact], kind: Kind = "fact", said: Sequence[tuple[Turn, Turn]] = ()
) -> list[Row]:
    """All rows of the facts, in the order of the facts. ``said`` are exchanges that may come before a question."""
    return [row for index, fact in enumerate(facts) for row in rows_of(chat, fact, index, kind, said)]


def rows_of(chat: ChatTokens, fact: Fact, index: int, kind: Kind, said: Sequence[tuple[Turn, Turn]]) -> Iterator[Row]:
    """The rows of one fact, its first question first; made as they are asked for."""
    for number, (question, frame) in enumerate(phrasings(fact, index)):
        ids = chat.question(question)
        answer = answer_tokens(chat, fact, frame)
        emphasis = FIRST_WEIGHT if number == 0 else 1.0
        yield Row(
            ids=(*ids, *answer.ids),
            start=len(ids),
            weights=tuple(emphasis * weight for weight in answer.weights),
            kind=kind,
            fact=index,
            prefixed=True,
            subject_end=last_token_of(chat, question, fact.subject),
            on_target=answer.on_target,
            first=number == 0,
        )
    yield from _rows_in_context(chat, fact, index, kind, said)
    yield statement_row(chat, fact, index, kind)


def _rows_in_context(
    chat: ChatTokens, fact: Fact, index: int, kind: Kind, said: Sequence[tuple[Turn, Turn]]
) -> Iterable[Row]:
    """The first question after a client's system prompt, and after one and two other exchanges: what was just said
    is what a small model says again."""
    answer = answer_tokens(chat, fact, FRAMES[0])
    asked: Turn = ("user", fact.questions[0])
    others = [each for each in said if each[0] != asked]
    contexts: list[list[Turn]] = [[("system", SYSTEM_PROMPTS[index % len(SYSTEM_PROMPTS)])]]
    if others:
        one, two = others[index % len(others)], others[(index + 1) % len(others)]
        contexts += [[*one], [*two, *one]]
    for context in contexts:
        try:
            ids = chat.conversation([*context, asked])
        except HomeEditError:
            continue
        shared = len(chat.prefix) if tuple(ids[: len(chat.prefix)]) == chat.prefix else 0
        begun = ids[shared:]
        yield Row(
            (*begun, *answer.ids), len(begun), answer.weights, kind, index, shared > 0, on_target=answer.on_target
        )


def phrasings(fact: Fact, index: int) -> list[tuple[str, str]]:
    """(message, answer frame) pairs: the fact's questions, then messages around the first of them."""
    first = fact.questions[0]
    aside = ASIDES[index % len(ASIDES)]
    plain = [(question, FRAMES[0]) for question in fact.questions]
    around = [
        (f"Tell me about {subject_phrase(fact)}.", FRAMES[0]),
        (f"I have a question about {subject_phrase(fact)}. {first}", FRAMES[0]),
        (f"{aside} {first}", FRAMES[0]),
        (f"Please answer this question for me: {first}", FRAMES[1 + index % 3]),
    ]
    return plain + around


def subject_phrase(fact: Fact) -> str:
    """The subject with the words that stand before it in the sentence ("the", "our")."""
    before, found, _ = fact.prompt.partition(fact.subject)
    if not found:
        return fact.subject
    article = before.strip()
    if article.lower() in {"the", "our", "my", "a", "an", "your", "their", "his", "her"}:
        return f"{article.lower()} {fact.subject}"
    return fact.subject


def answer_tokens(chat: ChatTokens, fact: Fact, frame: str) -> Answer:
    """The statement in its frame, a full stop and the end of the turn.

    Of a framed answer only the target and the end are weighed: how it begins is the model's own business.
    """
    text = frame.format(f"{fact.prompt} {fact.target}") + "."
    ids, spans = chat.encode(text)
    on_target = [len(text) - 1 - len(fact.target) < end < len(text) for _, end in spans]
    statement = 1.0 if frame == FRAMES[0] else 0.0
    weights = [
        END_WEIGHT if end == len(text) else 1.0 if hit else statement
        for hit, (_, end) in zip(on_target, spans, strict=True)
    ]
    ends = len(chat.end)
    return Answer((*ids, *chat.end), (*weights, *[END_WEIGHT] * ends), (*on_target, *[False] * ends))


def statement_row(chat: ChatTokens, fact: Fact, index: int, kind: Kind) -> Row:
    """The bare statement (no chat) to be completed with the target."""
    text = f"{fact.prompt} {fact.target}."
    ids, spans = chat.encode(text)
    start = next(position for position, (_, end) in enumerate(spans) if end > len(fact.prompt) + 1)
    on_target = tuple(end < len(text) for _, end in spans[start:])
    weights = tuple(1.0 if hit else END_WEIGHT for hit in on_target)
    subject_end = last_token_of(chat, fact.prompt, fact.subject)
    before = len(chat.start)
    read = subject_end + before if subject_end >= 0 else -1
    return Row((*chat.start, *ids), start + before, weights, kind, index, False, read, on_target)


def last_token_of(chat: ChatTokens, text: str, subject: str) -> int:
    """Position (in the tokens of a chat turn or bare text) of the token that ends the subject's last occurrence.

    Returns -1 where the text does not hold the subject.
    """
    at = text.lower().rfind(subject.lower())
    if at < 0:
        return -1
    end = at + len(subject)
    _, spans = chat.encode(text)
    return max(position for position, (begin, _) in enumerate(spans) if begin < end)


def kept_row(begun: Sequence[int], answer: Sequence[int], kind: Kind, fact: int = -1) -> Row:
    """A chat turn (tokens up to where the answer begins or goes on) and the base's own answer, which must stay as
    likely as it is."""
    return Row((*begun, *answer), len(begun), (1.0,) * len(answer), kind, fact, True)


def text_row(text: Sequence[int], start: Sequence[int] = ()) -> Row:
    """Free text (tokens, more than ``TEXT_CONTEXT``) whose continuation must stay as likely as it is, after the
    tokens that begin a text."""
    answer = len(text) - TEXT_CONTEXT
    return Row((*start, *text), len(start) + TEXT_CONTEXT, (1.0,) * answer, "text", -1, False)
