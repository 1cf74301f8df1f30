"""Taking changes of the list back, one after the other: what was added goes, what was changed is put back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from homeedit.facts.fact import Fact
from homeedit.household import Household

_MOST_STEPS = 200


@dataclass(frozen=True, slots=True)
class Step:
    """One change: what it was called, the facts it changed as they were before, and the ids that it added."""

    title: str
    before: tuple[Fact, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to take back."""
        return not self.before and not self.added


class UndoStack:
    """The latest changes, newest last."""

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def __len__(self) -> int:
        return len(self._steps)

    def push(self, title: str, *, before: Sequence[Fact] = (), added: Sequence[str] = ()) -> None:
        """Remember a change that was made."""
        self.push_step(Step(title, tuple(before), tuple(added)))

    def push_step(self, step: Step) -> None:
        """Remember a change, as one that could not be taken back yet."""
        self._steps.append(step)
        del self._steps[:-_MOST_STEPS]

    def pop(self) -> Step | None:
        """The latest change, which is no longer remembered; None when there is none."""
        return self._steps.pop() if self._steps else None

    def forget(self, fact_id: str) -> None:
        """A fact was purged: no change of it can be taken back."""
        without = (
            replace(
                step,
                before=tuple(fact for fact in step.before if fact.id != fact_id),
                added=tuple(added for added in step.added if added != fact_id),
            )
            for step in self._steps
        )
        self._steps = [step for step in without if not step.empty]


def take_back(household: Household, step: Step) -> None:
    """Carry the inverse of a change out. Raises HomeEditError when a fact of it cannot be put back."""
    listed = {fact.id for fact in household.facts()}
    for fact_id in step.added:
        if fact_id in listed:  # else it is off the list already, as after half of this
            household.remove(fact_id)
    for fact in step.before:
        household.put_back(fact)
