"""What a compile would do now, and what is served."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.household import Household
from homeedit.household.results import FactResult, ToCompile
from homeedit.tui.words import counted, minute

if TYPE_CHECKING:
    from homeedit.household.results import Build


@dataclass(frozen=True)
class Outlook:
    """What is known and what is served. ``problem``: why something of it could not be read."""

    facts: tuple[Fact, ...] = ()
    results: tuple[FactResult, ...] = ()
    build: "Build | None" = None
    """The build that is served; None for the base model."""
    active: int | None = None
    patch_bytes: tuple[int, ...] = ()
    """Sizes of the patches that are served."""
    drift: float | None = None
    """How far the active build is from the base on unrelated questions, nats a token."""
    problem: HomeEditError | None = None
    to_compile: ToCompile = ToCompile()

    @property
    def taught(self) -> frozenset[str]:
        """Ids of the facts that the active build holds."""
        return frozenset(self.build.facts) if self.build is not None else frozenset()

    @property
    def unrecalled(self) -> list[Fact]:
        """Facts that the served build was taught and does not say, and that a plain compile leaves alone."""
        concerned = {each.id for each in self.to_compile.facts}
        return [fact for fact in self.failed if fact.patch is not None and fact.id not in concerned]

    @property
    def failed(self) -> list[Fact]:
        """Facts that were refused, or that the build does not say."""
        return [fact for fact in self.facts if fact.enabled and fact.state == "failed"]

    @property
    def work(self) -> int:
        """How many facts the next compile adds or takes out."""
        return len(self.to_compile.facts)


def look(household: Household) -> Outlook:
    """Read all of it. Parts that cannot be read are empty, and ``problem`` says why."""
    problem: HomeEditError | None = None
    facts: list[Fact] = []
    results: list[FactResult] = []
    try:
        facts, results = household.facts(), household.fact_results()
    except HomeEditError as error:
        problem = error
    seen = Outlook(tuple(facts), tuple(results), problem=problem)
    try:
        builds, active = household.builds()
        found = next((build for build in builds if build.number == active), None)
        patches = household.patches() if found is not None else []
        return replace(
            seen,
            build=found,
            active=active,
            patch_bytes=tuple(patch.bytes for patch in patches if found is not None and patch.id in found.patches),
            drift=None if found is None else found.kl,
            to_compile=household.outlook(),
        )
    except HomeEditError as error:
        return replace(seen, problem=problem or error)


def what_is_served(outlook: Outlook) -> str:
    """The active build, when it was made, and how its facts fared."""
    build = outlook.build
    if build is None:
        return "Served: the base model, which knows no fact."
    recalled = sum(fact.state == "live" for fact in outlook.facts if fact.enabled and fact.id in outlook.taught)
    asked = sum(fact.enabled and fact.id in outlook.taught for fact in outlook.facts)
    words = (
        f"Served: build {build.number}, made {minute(build.created)}, {recalled} of {counted(asked, 'fact')} recalled."
    )
    return f"{words} It is damaged: {build.problem}" if build.problem else words


def what_is_to_do(outlook: Outlook) -> str:
    """What the next compile will do, in a line."""
    coming = outlook.to_compile
    if not coming.needed:
        return _nothing_to_do(outlook.facts)
    new, refused, ready = coming.count("new"), coming.count("refused"), coming.count("ready")
    unusable, again = coming.count("unusable"), coming.count("again")
    off, removed = coming.count("off"), coming.count("removed")
    parts = [
        (new, f"learn {counted(new, 'new or changed fact')}"),
        (refused, f"try {counted(refused, 'fact')} again that {'was' if refused == 1 else 'were'} refused"),
        (unusable, f"learn {counted(unusable, 'fact')} again whose patch cannot be used"),
        (again, f"learn {counted(again, 'fact')} again whose patch also holds what is not wanted"),
        (ready, f"put in {counted(ready, 'fact')} compiled before"),
        (off, f"leave out {off} switched off since"),
        (removed, f"leave out {removed} removed since"),
    ]
    said = [words for number, words in parts if number]
    return f"The next compile will {', '.join(said) or 'make the build that is served anew'}."


def _nothing_to_do(facts: Sequence[Fact]) -> str:
    if not facts:
        return "There is no fact yet."
    if not any(fact.enabled for fact in facts):
        return "Every fact is switched off."
    return "Everything in the list is compiled."


def what_failed(outlook: Outlook, retry_key: str) -> str:
    """What a plain compile leaves as it is."""
    count = len(outlook.unrecalled)
    if not count:
        return ""
    return (
        f"✗ {counted(count, 'fact')} taught but not recalled: a compile leaves {'it' if count == 1 else 'them'} "
        f"as {'it is' if count == 1 else 'they are'}; {retry_key} tries harder."
    )
