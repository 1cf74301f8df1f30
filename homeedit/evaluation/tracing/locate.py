"""Where the words of a prompt are among its tokens."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from homeedit.base.template import template_of
from homeedit.errors import USAGE, HomeEditError

MOST_TOKENS = 512
"""Every state of every noised run is kept in memory, so prompts must not be books."""


@dataclass(frozen=True, slots=True)
class Located:
    """A prompt as tokens. ``texts`` are the tokens for people; ``first`` is the first that stands for the prompt's
    own text (before it come the chat template's); ``spans`` are the tokens of each named word; ``notes`` say what
    was decided on the way."""

    ids: tuple[int, ...]
    texts: tuple[str, ...]
    first: int
    spans: Mapping[str, range]
    notes: tuple[str, ...]


def locate(tokenizer: Any, prompt: str, words: Mapping[str, str], *, chat: bool) -> Located:
    """Tokenise a prompt (as it is, or as a user's message under the chat template) and find words in it.

    ``words`` maps names ("subject") to what to look for; a token belongs to a word when they share a character, so a
    leading space that belongs to the token does no harm.

    Raises:
        HomeEditError: the prompt is empty or too long, or a word is empty or not in it (exit code 2).
    """
    prompt = prompt.strip()
    if not prompt:
        raise HomeEditError("There is no prompt.", 'Example: homeedit bench trace "The Space Needle is in" …', USAGE)
    text = _rendered(tokenizer, prompt) if chat else prompt
    begin = text.rindex(prompt)
    found = tokenizer(text, add_special_tokens=not chat, return_offsets_mapping=True)
    ids, offsets = found["input_ids"], found["offset_mapping"]
    if len(ids) > MOST_TOKENS:
        raise HomeEditError(
            f"The prompt has {len(ids)} tokens; at most {MOST_TOKENS} can be traced.", "Give a shorter one.", USAGE
        )
    notes: list[str] = []
    spans = {}
    for name, word in words.items():
        start, end = find(prompt, word.strip(), name, notes)
        spans[name] = _tokens_of(offsets, begin + start, begin + end)
        _note_more(text, offsets, spans[name], begin + end, name, notes)
    first = _tokens_of(offsets, begin, begin + len(prompt)).start
    return Located(tuple(ids), tuple(_texts(tokenizer, text, ids, offsets)), first, spans, tuple(notes))


def target_ids(tokenizer: Any, target: str, *, chat: bool) -> tuple[int, ...]:
    """The tokens of a target that follows the prompt after a space, or begins the answer in a chat.

    Raises:
        HomeEditError: there is nothing in it (exit code 2).
    """
    if not target.strip():
        raise HomeEditError("The target is empty.", "Leave it out for the model's own first token.", USAGE)
    text = target.strip() if chat else f" {target.strip()}"
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def find(text: str, word: str, name: str, notes: list[str]) -> tuple[int, int]:
    """The characters of a word's last occurrence in a text, as a whole word if there is one; says so in ``notes``.

    Raises:
        HomeEditError: it does not occur (exit code 2).
    """
    if not word:
        raise HomeEditError(f"The {name} is empty.", f"Give words of the prompt with --{name}.", USAGE)
    occurrences = [match.span() for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text)]
    if not occurrences:
        occurrences = [match.span() for match in re.finditer(re.escape(word), text)]
        if occurrences:
            notes.append(f"The {name} {word!r} occurs only as a part of another word.")
    if not occurrences:
        alike = re.search(re.escape(word), text, re.IGNORECASE)
        hint = f"Did you mean {alike.group()!r}?" if alike else "Give it letter by letter as it stands in the prompt."
        raise HomeEditError(f"The {name} {word!r} does not occur in the prompt {text!r}.", hint, USAGE)
    if len(occurrences) > 1:
        notes.append(f"The {name} {word!r} occurs {len(occurrences)} times; the last one is taken.")
    return occurrences[-1]


def _rendered(tokenizer: Any, prompt: str) -> str:
    """The prompt as a user's message, up to where the answer begins."""
    text = template_of(tokenizer).render([{"role": "user", "content": prompt}])
    if prompt not in text:
        raise HomeEditError("The model's chat template changes the prompt's text, so it cannot be traced as a chat.")
    return text


def _tokens_of(offsets: list[tuple[int, int]], start: int, end: int) -> range:
    inside = [number for number, (first, last) in enumerate(offsets) if first < end and last > start]
    return range(inside[0], inside[-1] + 1)


def _note_more(text: str, offsets: list[tuple[int, int]], span: range, end: int, name: str, notes: list[str]) -> None:
    """Editing writes at the word's last token: tell when that token says more than the word."""
    first, last = offsets[span.stop - 1]
    if last > end:
        notes.append(f"The {name}'s last token {text[first:last].strip()!r} goes on after it.")


def _texts(tokenizer: Any, text: str, ids: list[int], offsets: list[tuple[int, int]]) -> list[str]:
    """Tokens for people: what they cover of the text; the tokenizer's own word for those that cover none."""
    return [
        text[first:last] if last > first else str(tokenizer.decode([token]))
        for token, (first, last) in zip(ids, offsets, strict=True)
    ]
