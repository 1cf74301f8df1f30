"""What Household's methods give back: plain data for a face to show."""

from dataclasses import dataclass, field

from homeedit.errors import DONE, FAILED, NOT_RECALLED
from homeedit.facts.fact import Fact, State


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. ``build`` is None for the base model; ``seconds`` is the time of this answer."""

    question: str
    answer: str
    model: str
    build: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """One question of a fact, what was answered, and whether that was right."""

    question: str
    answer: str
    right: bool


@dataclass(frozen=True, slots=True)
class FactResult:
    """How a fact fares in a build. ``recall`` is the share of right answers to the questions asked of it, which
    may be one only (``checking.check_build``); ``refused`` says why its last compile was refused."""

    id: str
    sentence: str
    state: State
    recall: float | None
    asked: tuple[AskedQuestion, ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Unrelated:
    """Unrelated questions, build against base: mean KL in nats a token, and answers still right of those
    that the base answers rightly."""

    kl: float
    kept: int
    asked: int


@dataclass(frozen=True, slots=True)
class BuildResult:
    """The end of a compile, revert or verify.

    ``reasons`` says why a build was not activated (or, if forced, what was overruled). ``changed`` is false
    when there was nothing to do. ``gone`` holds, after a purge, what is now answered for each purged fact.
    """

    build: int
    activated: bool
    facts: tuple[FactResult, ...]
    locality: Unrelated | None
    seconds: dict[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    changed: bool = True
    gone: tuple[FactResult, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 when the build was refused, 3 when some fact in it is not recalled, else 0."""
        if not self.activated:
            return FAILED
        return NOT_RECALLED if any(fact.state == "failed" for fact in self.facts) else DONE


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line of an import that could not be taken."""

    line: int
    text: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import stored (or, in a dry run, would store), and what it could not."""

    facts: tuple[Fact, ...]
    problems: tuple[BadLine, ...]


@dataclass(frozen=True, slots=True)
class Initialised:
    """A home that is ready. ``seconds`` is the whole time it took."""

    home: str
    model: str
    fingerprint: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Check:
    """One check of ``doctor`` in plain words."""

    check: str
    ok: bool
    detail: str
