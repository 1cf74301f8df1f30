"""Bare statements, the classic editors' input, and their compile: no chat, a few generated beginnings, the essence.

ROME (arXiv 2202.05262, eq. 3), MEMIT (arXiv 2210.07229, eq. 16, 19) and AlphaEdit average keys over a statement with
generated texts before it; MEMIT-CSK (arXiv 2305.14956) reads it at the verb or the object instead of the subject.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from homeedit.base.architecture import architecture_named
from homeedit.base.load import load_model, load_tokenizer
from homeedit.base.store import BaseModel
from homeedit.editing.batches import ANSWER_SCALE
from homeedit.editing.delta import Delta, LowRank
from homeedit.editing.devices import repeatable, working_dtype
from homeedit.editing.generation import continue_prompts
from homeedit.editing.job import Job
from homeedit.editing.memory import use_threads
from homeedit.editing.methods import METHODS
from homeedit.editing.model import EditableModel
from homeedit.editing.recipes import Position, Recipe
from homeedit.editing.requests import ChatTokens, Row
from homeedit.editing.statistics import Statistics
from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.facts.finding import find_verb
from homeedit.progress import Progress

BEGINNINGS = ("The", "Therefore", "Because", "I", "You")
"""What generated beginnings begin with."""
BEGINNING_TOKENS = 10
"""How long they become (MEMIT's; of ROME's twenty, half are of five tokens)."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A fact, with its verb and its object where a data set marks them."""

    fact: Fact
    verb: str = ""
    object: str = ""

    def word_at(self, position: Position) -> tuple[str, str]:
        """The word to be read, and what it is: the subject, where the prompt does not hold what is wanted (what stands
        in the target cannot be read); and the prompt's last word, where it does not hold that.

        A verb that is not marked is found by the rules of sentences."""
        words = self.fact.prompt.split()
        wanted = {"subject": self.fact.subject, "verb": self.verb or _verb_of(words), "object": self.object}
        for kind in (position, "subject"):
            if wanted[kind] and _last_end(self.fact.prompt, wanted[kind]) >= 0:
                return wanted[kind], kind
        return words[-1], "last word"


def _verb_of(words: Sequence[str]) -> str:
    at = find_verb(words)
    return "" if at is None else words[at]


def beginnings(model: Any, chat: ChatTokens, count: int, generator: torch.Generator) -> list[str]:
    """Texts that may stand before a statement: the model's own, sampled from the generator."""
    if not count:
        return []
    prompts = [[*chat.start, *chat.encode(BEGINNINGS[number % len(BEGINNINGS)])[0]] for number in range(count)]
    written = continue_prompts(model, prompts, BEGINNING_TOKENS, chat.end[0], lambda: None, generator)
    texts = (
        chat.tokenizer.decode([*prompt, *more], skip_special_tokens=True)
        for prompt, more in zip(prompts, written, strict=True)
    )
    return [" ".join(text.split()) + ". " for text in texts]


def statement_rows(
    chat: ChatTokens, statements: Sequence[Statement], before: Sequence[str], recipe: Recipe
) -> list[Row]:
    """Per statement its rows after every beginning, the bare one last, and its essence.

    A word that is a text's first token is not read there if it can be read elsewhere: the first token's state is
    where attention rests, a hundred times as large as others and the same for every text.
    """
    rows: list[Row] = []
    for index, statement in enumerate(statements):
        word, _ = statement.word_at(recipe.position)
        found = [_row(chat, statement.fact, index, text, word) for text in (*before, "")]
        inside = [row for row in found if row.subject_end > 0]
        rows += inside or found
        essence = _essence(chat, index, word)
        rows += [essence] if recipe.essence_weight and essence.subject_end > 0 else []
    return rows


def _row(chat: ChatTokens, fact: Fact, index: int, text: str, word: str) -> Row:
    """The statement after a text; its loss is the mean over the target's tokens (MEMIT eq. 16)."""
    asked = f"{text}{fact.prompt}"
    ids, spans = chat.encode(f"{asked} {fact.target}")
    start = next(position for position, (_, end) in enumerate(spans) if end > len(asked) + 1)
    length = len(ids) - start
    read = _token_at(spans, len(text) + _last_end(fact.prompt, word))
    # Of what predicts the target nothing but the statement itself can be read.
    read, before = min(read, start - 1), len(chat.start)
    weights = (ANSWER_SCALE / length,) * length
    return Row((*chat.start, *ids), start + before, weights, "fact", index, False, read + before, (True,) * length)


def _essence(chat: ChatTokens, index: int, word: str) -> Row:
    """ "<word> is a", and one token after it that stands for whatever follows."""
    ids, spans = chat.encode(f"{word} is a")
    before, read = len(chat.start), _token_at(spans, len(word))
    return Row((*chat.start, *ids, *chat.end), before + len(ids), (1.0,), "essence", index, False, before + read)


def _token_at(spans: Sequence[tuple[int, int]], end: int) -> int:
    """The last token that begins before a character."""
    return max(position for position, (begin, _) in enumerate(spans) if begin < max(1, end))


def _last_end(text: str, word: str) -> int:
    """Where a word's last occurrence ends, as a word of its own if there is one so; -1 where there is none."""
    alone = list(re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE))
    if alone:
        return alone[-1].end()
    at = text.lower().rfind(word.lower())
    return at + len(word) if at >= 0 else -1


def compile_statements(
    statements: Sequence[Statement],
    *,
    base: BaseModel,
    recipe: Recipe,
    statistics: Statistics,
    seed: int,
    device: str,
    threads: int,
    progress: Progress,
) -> tuple[Delta, dict[str, Any]]:
    """Edit statements together, from the pristine base, as the method's paper does. Deterministic on one machine.

    Returns the change (float32) and what is worth telling: also how many statements are read at which word.
    Raises HomeEditError for a method that wants chats, and where the result is not finite.
    """
    if recipe.method == "joint":
        raise HomeEditError("The joint method learns chats, not bare statements.", "Use compile_facts.")
    use_threads(threads)
    progress.stage("loading", None)
    chat = ChatTokens(load_tokenizer(base))
    generator = torch.Generator().manual_seed(seed)
    with repeatable(device):
        raw = load_model(base, device, working_dtype(device))
        rows = statement_rows(chat, statements, beginnings(raw, chat, recipe.prefixes, generator), recipe)
        model = EditableModel(raw, architecture_named(base.architecture), recipe.layers, ())
        facts = tuple(statement.fact for statement in statements)
        job = Job(model, chat, facts, rows, {}, statistics, recipe, generator)
        factors, report = METHODS[recipe.method](job, progress)
    if not all(bool(part.isfinite().all()) for pair in factors.values() for part in pair):
        raise HomeEditError(
            f"Editing with {recipe.method} produced numbers that are not finite; nothing was changed.",
            "Teach fewer edits at once, or try another seed.",
        )
    delta = {layer: LowRank(A.cpu().numpy(), B.cpu().numpy()) for layer, (A, B) in factors.items()}
    read = Counter(statement.word_at(recipe.position)[1] for statement in statements)
    return delta, {**report, "read at": dict(read)}
