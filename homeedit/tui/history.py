"""Patches and builds as the pane shows them, read in one go."""

from dataclasses import dataclass
from typing import Any

from homeedit.errors import HomeEditError
from homeedit.household import Household

SERVED, WAITING, RESTING, FOREIGN = "✓ served", "● waiting", "– resting", "✗ other base"
STATES = {
    SERVED: "in the build that is served",
    WAITING: "the next compile takes it in",
    RESTING: "its facts are switched off, or compiled anew elsewhere",
    FOREIGN: "made for another base model",
}


@dataclass(frozen=True, slots=True)
class PatchRow:
    """A patch: what it holds, where it is used, how it was made."""

    id: str
    state: str
    file: str
    sentences: tuple[str, ...]
    on: tuple[str, ...]
    """Sentences of the facts that are switched on and compiled in this patch."""
    bytes: int
    rank: int
    created: str
    base: str
    parents: tuple[str, ...]
    layers: tuple[int, ...]
    recipe: dict[str, Any]
    seed: int
    homeedit: str


@dataclass(frozen=True, slots=True)
class BuildRow:
    """A build: what it holds and how it fared. ``problem`` says why it cannot be used."""

    number: int
    created: str
    sentences: tuple[str, ...]
    count: int
    patches: tuple[str, ...]
    recall: float | None
    kl: float | None
    kept: tuple[int, int] | None
    served: bool
    forced: bool
    bytes: int
    file: str
    problem: str


@dataclass(frozen=True, slots=True)
class History:
    """All patches and builds, newest first, and what could not be read."""

    patches: tuple[PatchRow, ...] = ()
    builds: tuple[BuildRow, ...] = ()
    served: int | None = None
    model: str = ""
    keep: int = 0
    """Builds that a compile keeps."""
    problems: tuple[str, ...] = ()


def read_history(household: Household) -> History:
    """Everything that can be read; what cannot is said in ``problems``."""
    problems: list[str] = []
    builds: tuple[BuildRow, ...] = ()
    patches: tuple[PatchRow, ...] = ()
    served: int | None = None
    model, keep, linked = "", 0, frozenset[str]()
    try:
        model, keep = household.settings.model, household.settings.keep_builds
        builds, served = _builds(household)
        linked = frozenset(patch for build in builds if build.served for patch in build.patches)
    except HomeEditError as error:
        problems.append(f"{error.message} {error.hint}".strip())
    try:
        patches = _patches(household, linked, model)
    except HomeEditError as error:
        problems.append(f"{error.message} {error.hint}".strip())
    return History(patches, builds, served, model, keep, tuple(dict.fromkeys(problems)))


def _builds(household: Household) -> tuple[tuple[BuildRow, ...], int | None]:
    found, served = household.builds()
    rows = [
        BuildRow(
            number=build.number,
            created=build.created,
            sentences=_sentences(household, build.number) if not build.problem else (),
            count=len(build.facts),
            patches=build.patches,
            recall=build.recall,
            kl=build.kl,
            kept=build.kept,
            served=build.number == served,
            forced=build.forced,
            bytes=build.bytes,
            file=str(build.gguf),
            problem=build.problem,
        )
        for build in reversed(found)
    ]
    return tuple(rows), served


def _sentences(household: Household, number: int) -> tuple[str, ...]:
    """What a build was taught, in the words that it was taught."""
    try:
        return household.compare(None, number).added
    except (
        HomeEditError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
    ):  # one odd manifest hides no other build
        return ()


def _patches(household: Household, linked: frozenset[str], model: str) -> tuple[PatchRow, ...]:
    facts = household.facts()
    rows = []
    for patch in reversed(household.patches()):
        on = tuple(fact.sentence for fact in facts if fact.patch == patch.id and fact.enabled)
        rows.append(
            PatchRow(
                id=patch.id,
                state=_state(patch.id in linked, bool(on), patch.base == model),
                file=str(patch.file),
                sentences=tuple(fact.sentence for fact in patch.facts),
                on=on,
                bytes=patch.bytes,
                rank=patch.rank,
                created=patch.created,
                base=patch.base,
                parents=patch.parents,
                layers=patch.layers,
                recipe=patch.recipe,
                seed=patch.seed,
                homeedit=patch.homeedit,
            )
        )
    return tuple(rows)


def _state(linked: bool, on: bool, fits: bool) -> str:
    if linked:
        return SERVED
    if not fits:
        return FOREIGN
    return WAITING if on else RESTING
