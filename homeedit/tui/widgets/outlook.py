"""What a compile would do now, and what is served."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.household import Household
from homeedit.household.results import FactResult
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

    @property
    def taught(self) -> frozenset[str]:
        """Ids of the facts that the active build holds."""
        return frozenset(self.build.facts) if self.build is not None else frozenset()

    @property
    def waiting(self) -> list[Fact]:
        """Facts that the next compile will learn: new, changed, or refused before."""
        return [fact for fact in self.facts if fact.enabled and fact.patch is None]

    @property
    def unlinked(self) -> list[Fact]:
        """Facts that are in a patch, but in no build yet."""
        return [fact for fact in self.facts if fact.enabled and fact.patch is not None and fact.state == "compiled"]

    @property
    def unrecalled(self) -> list[Fact]:
        """Facts that the served build was taught and does not say."""
        return [fact for fact in self.facts if fact.enabled and fact.patch is not None and fact.state == "failed"]

    @property
    def failed(self) -> list[Fact]:
        """Facts that were refused, or that the build does not say."""
        return [fact for fact in self.facts if fact.enabled and fact.state == "failed"]

    @property
    def unwanted(self) -> list[str]:
        """Ids of facts that the served build holds, and that were switched off or removed since."""
        wanted = {fact.id for fact in self.facts if fact.enabled}
        return sorted(self.taught - wanted)

    @property
    def work(self) -> int:
        """How many facts the next compile adds or takes out."""
        return len(self.waiting) + len(self.unlinked) + len(self.unwanted)


def look(household: Household) -> Outlook:
    """Read all of it. Parts that cannot be read are empty, and ``problem`` says why."""
    problem: HomeEditError | None = None
    facts: list[Fact] = []
    results: list[FactResult] = []
    try:
        facts, results = household.facts(), household.fact_results()
    except HomeEditError as error:
        problem = error
    try:
        builds, active = household.builds()
        found = next((build for build in builds if build.number == active), None)
        if found is None:
            return Outlook(tuple(facts), tuple(results), active=active, problem=problem)
        patches = household.patches()
        drift = None if found.problem else household.compare(None, found.number).kl[1]
    except HomeEditError as error:
        return Outlook(tuple(facts), tuple(results), problem=problem or error)
    return Outlook(
        tuple(facts),
        tuple(results),
        found,
        active,
        tuple(patch.bytes for patch in patches if patch.id in found.patches),
        drift,
        problem,
    )


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
    if not outlook.facts and not outlook.unwanted:
        return "There is no fact yet."
    refused = sum(fact.state == "failed" for fact in outlook.waiting)
    fresh = len(outlook.waiting) - refused
    off = sum(not fact.enabled for fact in outlook.facts if fact.id in outlook.taught)
    removed = len(outlook.unwanted) - off
    parts = [
        (fresh, f"learn {counted(fresh, 'new or changed fact')}"),
        (refused, f"try {counted(refused, 'fact')} again that {'was' if refused == 1 else 'were'} refused"),
        (len(outlook.unlinked), f"put in {counted(len(outlook.unlinked), 'fact')} compiled before"),
        (off, f"leave out {off} switched off since"),
        (removed, f"leave out {removed} removed since"),
    ]
    said = [words for number, words in parts if number]
    return f"The next compile will {', '.join(said)}." if said else "Everything in the list is compiled."


def what_failed(outlook: Outlook, retry_key: str) -> str:
    """What a plain compile leaves as it is."""
    count = len(outlook.unrecalled)
    if not count:
        return ""
    return (
        f"✗ {counted(count, 'fact')} taught but not recalled: a compile leaves {'it' if count == 1 else 'them'} "
        f"as {'it is' if count == 1 else 'they are'}; {retry_key} tries harder."
    )
