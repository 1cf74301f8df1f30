"""What a compile has to do, decided from the ledger and the patches on disk alone: a build plan.

Facts are the source, patches the object files. Pure functions over plain data, so that every rule has a test.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from homeedit.facts.fact import Fact
from homeedit.household.results import FactToDo, Reason


@dataclass(frozen=True, slots=True)
class Group:
    """Facts to compile together into one new patch. ``replaces`` are the patches that held some of them;
    ``harder`` says to spend more effort on them than usual."""

    facts: tuple[Fact, ...]
    replaces: tuple[str, ...]
    reason: str
    harder: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """``linked``: patches used as they are. ``groups``: what is compiled, each on top of all before it."""

    linked: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def work(self) -> int:
        """Number of facts that have to be compiled."""
        return sum(len(group.facts) for group in self.groups)


def _count(number: int) -> str:
    return "1 fact" if number == 1 else f"{number} facts"


def make_plan(
    facts: Sequence[Fact],
    sizes: Mapping[str, int],
    *,
    consolidate: bool = False,
    drafts: bool = True,
    retry: Collection[str] = (),
) -> Plan:
    """Decide what is linked and what is compiled.

    A patch is linked exactly if all facts in its file are enabled and still held by it. One of which some
    facts were disabled, edited or removed is compiled again with the facts that remain. One of which all
    facts are disabled rests on disk. Enabled facts without a usable patch are compiled together, then those to
    be tried again, which count as if their patch did not hold them.

    Args:
        facts: all facts of the ledger.
        sizes: usable patches (readable, made for this base), oldest first → number of facts in their file.
        consolidate: compile all enabled facts again from the pristine base into one patch.
        drafts: whether enabled facts that never were in a patch are compiled too.
        retry: ids of facts that are compiled anew, with more effort.
    """
    enabled = [fact for fact in facts if fact.enabled]
    again = tuple(fact for fact in enabled if fact.id in retry)
    anew = {fact.id for fact in again}
    if consolidate:
        enabled = [fact for fact in enabled if drafts or fact.patch is not None]
        if not enabled:
            return Plan(linked=(), groups=())
        replaces = tuple(patch for patch in sizes if any(fact.patch == patch for fact in enabled))
        reason = f"all {_count(len(enabled))} together"
        return Plan(linked=(), groups=(Group(tuple(enabled), replaces, reason, harder=bool(again)),))
    linked, groups = [], []
    for patch, size in sizes.items():
        holders = [fact for fact in facts if fact.patch == patch and fact.id not in anew]
        remaining = tuple(fact for fact in holders if fact.enabled)
        if not remaining:
            continue
        if len(remaining) == size:
            linked.append(patch)
        else:
            unwanted = _count(size - len(remaining))
            reason = f"{_count(len(remaining))} again, as patch {patch} also holds {unwanted} not wanted"
            groups.append(Group(remaining, (patch,), reason))
    others = [fact for fact in enabled if fact.id not in anew]
    fresh = tuple(fact for fact in others if (drafts if fact.patch is None else fact.patch not in sizes))
    if fresh:
        groups.append(Group(fresh, (), f"{_count(len(fresh))} without a patch"))
    if again:
        replaces = tuple(patch for patch in sizes if any(fact.patch == patch for fact in again))
        groups.append(Group(again, replaces, f"{_count(len(again))} again, with more effort", harder=True))
    return Plan(tuple(linked), tuple(groups))


def to_do(plan: Plan, facts: Sequence[Fact], served: Collection[str], taught: Collection[str]) -> tuple[FactToDo, ...]:
    """The facts that a plan changes something about, and why.

    Args:
        plan: what ``make_plan`` decided.
        facts: all facts of the ledger, with their states.
        served: the patches of the active build.
        taught: ids of the facts that it holds.
    """
    compiled = [FactToDo(fact.id, _reason(fact, group)) for group in plan.groups for fact in group.facts]
    linked = [fact for fact in facts if fact.patch in plan.linked]
    ready = [FactToDo(fact.id, "ready") for fact in linked if fact.patch not in served]
    kept = {each.id for each in compiled} | {fact.id for fact in linked}
    known = {fact.id for fact in facts}
    gone = [FactToDo(each, "off" if each in known else "removed") for each in sorted(set(taught) - kept)]
    return (*compiled, *ready, *gone)


def _reason(fact: Fact, group: Group) -> Reason:
    if group.replaces:
        return "again"
    if fact.patch is not None:
        return "unusable"
    return "refused" if fact.state == "failed" else "new"


def orphans(patches: Sequence[str], facts: Sequence[Fact], served: Sequence[str]) -> list[str]:
    """Patches on disk that nothing needs: no fact points at them and the active build does not hold them.

    Those in ``served``, the active build's, stay so that a refused compile can go back to them.
    """
    needed = {fact.patch for fact in facts} | set(served)
    return [patch for patch in patches if patch not in needed]
