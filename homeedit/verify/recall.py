"""Recall: whether the served model says a fact when it is asked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from homeedit.progress import Progress
from homeedit.verify.words import is_number, same, words

_FILLERS = frozenset(
    "a an the this that these those my our your his her its their and is are was were be it"
    " in on at to of from by with into onto inside under underneath below beneath behind beside above over near"
    " next between within upon for around".split()
)
_TITLES = frozenset("doctor dr mr mrs ms miss professor prof".split())
_NUMBER_LABELS = frozenset("number no nr".split())
_UNITS = frozenset(
    "degree degrees celsius fahrenheit c f percent minute minutes min hour hours h second seconds euro euros dollar"
    " dollars pound pounds kg kilo kilos g gram grams litre litres liter liters l ml km m cm mm".split()
)
_MOST_BETWEEN = 3
"""Other content words that may stand among the expected ones."""


class Asks(Protocol):
    """What answers a question; ``homeedit.runtime.llama.Runtime`` does."""

    def chat(self, question: str, *, max_tokens: int = 48, guess: str = "") -> str: ...


class Askable(Protocol):
    """What is asked about: a ledger's or a patch's fact."""

    @property
    def id(self) -> str: ...
    @property
    def sentence(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def questions(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, the model's answer, and whether it holds the target."""

    question: str
    answer: str
    right: bool


@dataclass(frozen=True, slots=True)
class Recall:
    """A fact's questions. ``recalled``: the first was answered rightly; ``share``: right / asked.

    How many were asked differs between facts (``ask_facts``), so a share of 1 may stand for one question.
    """

    fact_id: str
    sentence: str
    questions: tuple[Asked, ...]
    recalled: bool
    share: float


def expected(target: str) -> list[str]:
    """The words an answer must hold for a target, as ``words`` spells them, in order.

    Articles, prepositions, possessives, titles ("Doctor"), "number" before a number and the unit after the
    one number of a target are not required; when nothing else is there, all words are.
    """
    all_words = words(target)
    content = [word for word in all_words if word not in _FILLERS]
    named = [word for word in content if word not in _TITLES] or content
    if len(named) == 2 and is_number(named[1]) and named[0] in _NUMBER_LABELS:
        return named[1:]
    if len(named) == 2 and is_number(named[0]) and named[1] in _UNITS:
        return named[:1]
    return named or all_words


def recalled(answer: str, target: str, *, prompt: str = "") -> bool:
    """Whether an answer holds a target: all its content words in order, close together, as whole words.

    "in the drawer" does not hold "in the drawer under the stove"; "28510" does not hold "2851". An answer
    that denies ("not in the drawer") does not either, unless the fact's ``prompt`` itself has a negation.
    """
    wanted = expected(target)
    if not wanted:
        return False
    skipped = (_FILLERS | _TITLES) - set(wanted)
    spoken = [word for word in words(answer) if word not in skipped]
    denials_count = not any(_denies(word) for word in words(prompt)) and not _denies(wanted[0])
    denied = False
    for start, word in enumerate(spoken):
        if same(wanted[0], word) and _follows(wanted, spoken[start : start + len(wanted) + _MOST_BETWEEN]):
            if not (denials_count and start and _denies(spoken[start - 1])):
                return True
            denied = True
    return not denied and _same_digits(wanted, spoken)


def names(text: str, subject: str) -> bool:
    """Whether a text names a subject: all its words but articles, prepositions and titles, in any order."""
    spoken = words(text)
    wanted = expected(subject)
    return bool(wanted) and all(any(same(word, other) for other in spoken) for word in wanted)


def mentions(answer: str, words_or_stems: Sequence[str]) -> bool:
    """Whether one of the words (or beginnings of words; numbers whole) stands in the answer, at a word's start."""
    text = answer.casefold()
    return any(
        re.search(r"(?<!\w)" + re.escape(word.casefold()) + (r"(?!\d)" if word[-1].isdigit() else ""), text)
        for word in words_or_stems
    )


def ask_facts(
    runtime: Asks,
    facts: Sequence[Askable],
    progress: Progress,
    *,
    questions_per_fact: int = 3,
    before: Mapping[str, str] = MappingProxyType({}),
    max_tokens: int = 48,
) -> list[Recall]:
    """Ask the first questions of each fact, greedily, through the chat template.

    Of facts that were asked of another build, only the first question is asked, by which they are judged: ``before``
    has their ids and what that build answered, which is most likely the answer again. A fact without questions is
    asked by its prompt. Raises Cancelled between questions.
    """
    counts = [1 if fact.id in before else max(1, questions_per_fact) for fact in facts]
    plan = [(fact, fact.questions[:count] or (fact.prompt,)) for fact, count in zip(facts, counts, strict=True)]
    progress.stage("verify", sum(len(questions) for _, questions in plan))
    results = []
    for fact, questions in plan:
        asked = []
        for question in questions:
            answer = runtime.chat(question, max_tokens=max_tokens, guess=before.get(fact.id, ""))
            asked.append(Asked(question, answer, recalled(answer, fact.target, prompt=fact.prompt)))
            progress.advance(note=fact.id)
        share = sum(one.right for one in asked) / len(asked)
        results.append(Recall(fact.id, fact.sentence, tuple(asked), asked[0].right, share))
    return results


def _follows(wanted: list[str], spoken: list[str]) -> bool:
    """Whether all wanted words stand in ``spoken`` in order."""
    rest = iter(spoken)
    return all(any(same(word, other) for other in rest) for word in wanted)


def _denies(word: str) -> bool:
    return word in ("not", "never", "cannot") or word.endswith("n't")


def _same_digits(wanted: list[str], spoken: list[str]) -> bool:
    """Whether a code of digits only is spoken in other groups: "555-0199", "5550199", "five five five 0199"."""
    if not all(word.isdigit() for word in wanted):
        return False
    runs, current = [], ""
    for word in [*spoken, ""]:
        if word.isdigit():
            current += word
        elif current:
            runs.append(current)
            current = ""
    return "".join(wanted) in runs
