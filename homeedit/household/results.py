"""What Household's methods give back: plain data for a face to show."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from homeedit.errors import DONE, FAILED, NOT_RECALLED
from homeedit.facts.fact import Fact, State

if TYPE_CHECKING:
    # What Household gives back is named here, so that a face need not look below it.
    from homeedit.builds.history import Build as Build
    from homeedit.patches.store import Patch as Patch


def named_build(number: int | None) -> str:
    """A build in a sentence: "build 3"; None is "the base model"."""
    return "the base model" if number is None else f"build {number}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. ``build`` is None for the base model; ``seconds`` is the time of this answer."""

    question: str
    answer: str
    model: str
    build: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model has said so far: ``text`` grows until ``done``. ``build`` is None for the base model;
    ``seconds`` and ``tokens`` count from the beginning of this answer."""

    text: str
    model: str
    build: int | None
    seconds: float
    tokens: int
    done: bool


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
    that the base answers firmly (rightly, and not by a hair)."""

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


@dataclass(frozen=True, slots=True)
class Conflicts:
    """What stands against a sentence: the fact that says the same, and enabled facts that say otherwise."""

    duplicate: Fact | None
    contradicted: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class ChangedAnswer:
    """A question that two builds were asked and answered in other words, or not both rightly."""

    question: str
    before: str
    after: str
    right_before: bool
    right_after: bool


@dataclass(frozen=True, slots=True)
class BuildChange:
    """What changed from one build to another; None is the base model.

    ``added`` and ``removed`` are sentences. ``kl`` (nats a token, on unrelated questions) and ``recall`` are
    those of the older and the newer one, None where nothing was measured.
    """

    older: int | None
    newer: int | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    answers: tuple[ChangedAnswer, ...]
    kl: tuple[float | None, float | None]
    recall: tuple[float | None, float | None]


Reason = Literal["new", "refused", "unusable", "again", "ready", "off", "removed"]
"""Why a compile has to do with a fact: it is new or changed, was refused before, its patch cannot be used or also
holds what is not wanted, it is in a patch that is not served, it was switched off, or it was removed."""


@dataclass(frozen=True, slots=True)
class FactToDo:
    """A fact that the next compile learns, puts in or leaves out, and why."""

    id: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class ToCompile:
    """What a compile would do now. ``needed`` is false when it would find nothing to do; ``damaged`` says what is
    wrong with the served build, which is then made anew."""

    facts: tuple[FactToDo, ...] = ()
    needed: bool = False
    damaged: str = ""

    def count(self, reason: Reason) -> int:
        """How many facts are there for this reason."""
        return sum(fact.reason == reason for fact in self.facts)


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A setting as it holds now. ``source`` is "default", "homeedit.toml, line 4" or "--device"; ``text`` says
    what it is for, ``allowed`` what it may be."""

    name: str
    value: str | int | Mapping[str, str]
    source: str
    text: str
    allowed: str


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a home's base model is, and what it takes on disk.

    ``bytes`` has ``weights`` (the fp16 copy), ``gguf``, ``statistics``, ``builds``, ``patches`` and ``ledger``.
    """

    name: str
    source: str
    architecture: str
    parameters: int
    fingerprint: str
    layers: int
    edited_layers: tuple[int, ...]
    recipe: dict[str, Any]
    bytes: dict[str, int]
    quantization: str = "as it came"
    """Of the base GGUF; ``edited_type`` is the type of the edited layers' ``ffn_down`` in it."""
    edited_type: str = "Q8_0"
    revision: str = ""
    """The commit that was downloaded; empty for what came from elsewhere."""
    licence: str = ""
    """As its repository or the catalogue says; empty when neither does."""
    reasons: tuple[tuple[str, str, str], ...] = ()
    """The recipe's numbers that depend on the model: name, value and reason."""
    compile_bytes: int = 0
    serve_bytes: int = 0
    """Memory to compile facts and to serve, about; 0 when it cannot be told."""


@dataclass(frozen=True, slots=True)
class AvailableModel:
    """A model that is known by name. ``download``, ``compile_bytes`` and ``serve_bytes`` are bytes; ``fits`` says
    whether this machine has that memory, ``there`` whether the home has the model already."""

    name: str
    repo: str
    architecture: str
    parameters: int
    licence: str
    gated: bool
    download: int
    compile_bytes: int
    serve_bytes: int
    fits: bool
    there: bool
    about: str
