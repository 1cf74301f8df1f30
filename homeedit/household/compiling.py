"""A compile from plan to activation. The caller holds the home's lock.

Every write is one rename or one transaction, in an order that leaves a whole home whenever the process is
killed: a patch file without facts is deleted by the next compile, facts with a patch that no build holds are
linked by the next compile, a build that is not finished is cleared, and one that is finished but not active
is only history.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from homeedit.base.store import BaseModel
from homeedit.builds.history import Build, activate, active_build, clear_partials, finish, next_number, prune
from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.fact import Fact
from homeedit.facts.ledger import Ledger
from homeedit.facts.records import BuildRecord
from homeedit.household.checking import Checked, answers_to_record, check_build, fact_results
from homeedit.household.outlook import usable_patches
from homeedit.household.plan import Group, Plan, make_plan, orphans
from homeedit.household.recorded import recorded_result
from homeedit.household.results import BuildResult
from homeedit.household.workspace import Workspace, chosen_device, clear_leftovers
from homeedit.patches.facts import holds
from homeedit.patches.store import (
    Patch,
    damaged_patches,
    delete_patch,
    list_patches,
    load_delta,
    load_keys,
    patch_id_of,
    write_patch,
)
from homeedit.processes import importing_libraries
from homeedit.progress import Progress

STAGES = ("targets", "link", "merge", "quantize", "verify")

MOST_MENDS = 2
"""How often facts that a compile lost are taught again before everything is: to teach them may lose another."""


@dataclass
class Attempt:
    """One plan carried out: what was linked, which of those patches are new, and what verify found."""

    linked: tuple[str, ...]
    new: tuple[str, ...]
    number: int
    checked: Checked


@dataclass
class Compiler:
    """One run of compile on a home."""

    workspace: Workspace
    ledger: Ledger
    base: BaseModel
    progress: Progress
    force: bool = False
    drafts: bool = True
    """Whether facts that never were compiled are; a revert leaves them alone."""
    retry: Sequence[str] = ()
    """Ids of facts to compile anew with more effort."""
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    started: float = field(default_factory=time.perf_counter)
    served: Build | None = None
    live: frozenset[str] = frozenset()

    def run(self, *, consolidate: bool = False) -> BuildResult:
        """Plan, compile, build, verify, activate.

        Raises:
            HomeEditError: something failed; the build served before is untouched.
        """
        clear_leftovers(self.workspace.home, self.base, self.progress)
        self.served = self._served()
        facts = self._facts()
        self.live = frozenset(fact.id for fact in facts if fact.enabled and fact.state == "live")
        self._delete_orphans(facts)
        retried = self._retried(facts)
        plan = make_plan(facts, self._sizes(), consolidate=consolidate, drafts=self.drafts, retry=retried)
        if self._is_served(plan):
            assert self.served is not None
            return recorded_result(self.ledger, self.base.name, self.served, self._elapsed())
        attempt = self._attempt(plan)
        if not attempt.checked.verdict.activate and not self.force and not _is_whole(plan):
            attempt = self._once_more(attempt, retried)
        if not attempt.checked.verdict.activate and not self.force:
            return self._refuse(attempt)
        return self._activate(attempt)

    def _once_more(self, attempt: Attempt, retried: frozenset[str]) -> Attempt:
        """What is tried when patches on top of each other are refused, the quickest first: those that are not served
        yet are compiled again with a firmer hold on what is; if facts were lost and nothing else is wrong, they (and
        the rest of their patches) are taught again on top of the others, if that is less than half of all; then one
        patch for all facts, which loses less and changes less, but takes as long as all facts took."""
        served = self.served.patches if self.served else ()
        sizes = {identity: size for identity, size in self._sizes().items() if identity in served}
        added = make_plan(self._facts(), sizes, drafts=self.drafts, retry=retried)
        if added.linked and added.groups:
            attempt = self._again(added, attempt, "Holding on to the rest more firmly.", firmer=True)
        tried: frozenset[str] = frozenset()
        for _ in range(MOST_MENDS):
            lost = frozenset(attempt.checked.verdict.lost)
            mended = make_plan(self._facts(), self._sizes(), drafts=self.drafts, retry=lost)
            only_lost = bool(lost) and len(attempt.checked.verdict.reasons) == 1
            if not only_lost or lost <= tried or 2 * mended.work >= self._everything(retried).work:
                break
            tried |= lost
            attempt = self._again(mended, attempt, "Teaching what was lost again.")
        everything = self._everything(retried)
        if not attempt.checked.verdict.activate and everything.work:
            attempt = self._again(everything, attempt, f"Compiling all {everything.work} facts together.")
        return attempt

    def _everything(self, retried: frozenset[str]) -> Plan:
        """One patch for all facts, as the ledger has them now."""
        return make_plan(self._facts(), self._sizes(), consolidate=True, drafts=self.drafts, retry=retried)

    def _again(self, plan: Plan, refused: Attempt, what: str, firmer: bool = False) -> Attempt:
        """Carry out another plan after a refused one, and say why."""
        self.progress.say(f"{' '.join(refused.checked.verdict.reasons)} {what}")
        return self._attempt(plan, previous=refused, firmer=firmer)

    def _facts(self) -> list[Fact]:
        number = None if self.served is None else self.served.number
        return self.ledger.facts(base=self.base.name, active=number)

    def _retried(self, facts: Sequence[Fact]) -> frozenset[str]:
        """The ids of ``retry`` as the ledger spells them; raises HomeEditError for one that cannot be compiled."""
        retried = frozenset(self.ledger.get(fact_id).id for fact_id in self.retry)
        disabled = [fact.id for fact in facts if fact.id in retried and not fact.enabled]
        if disabled:
            raise HomeEditError(
                f"{_listed(disabled)} cannot be tried again: disabled. Nothing was compiled.",
                f"Switch on what shall be known: homeedit fact enable {' '.join(disabled)}",
                USAGE,
            )
        return retried

    def _served(self) -> Build | None:
        try:
            return active_build(self.base)
        except HomeEditError as error:
            self.progress.say(f"{error.message} It is made anew.")
            return None

    def _patches(self) -> dict[str, Patch]:
        """Patches usable with this base, oldest first."""
        return usable_patches(self.workspace, self.base)

    def _sizes(self) -> dict[str, int]:
        return {identity: len(patch.facts) for identity, patch in self._patches().items()}

    def _delete_orphans(self, facts: Sequence[Fact]) -> None:
        """Delete patches of this base, and damaged ones of any, that nothing needs."""
        edits = self.workspace.home.edits
        on_disk = [patch.id for patch in list_patches(edits) if patch.fingerprint == self.base.fingerprint]
        on_disk += [patch_id_of(file) for file, _ in damaged_patches(edits)]
        for identity in orphans(on_disk, facts, self.served.patches if self.served else ()):
            delete_patch(edits, identity)

    def _is_served(self, plan: Plan) -> bool:
        return self.served is not None and not plan.groups and set(plan.linked) == set(self.served.patches)

    def _elapsed(self) -> dict[str, float]:
        return {**self.seconds, "total": time.perf_counter() - self.started}

    def _attempt(self, plan: Plan, previous: Attempt | None = None, firmer: bool = False) -> Attempt:
        """Carry a plan out up to verify. A build that a previous attempt made is cleared first."""
        from homeedit.builds.build import make_build
        from homeedit.editing.recipes import recipe_for

        if previous is not None:
            clear_partials(self.base)
        start = time.perf_counter()
        before = self._patches()
        fresh = self._compile_groups(plan, before, firmer)
        self.seconds["targets"] += time.perf_counter() - start
        linked = [before[identity] for identity in plan.linked] + fresh
        recorded = max((build.number for build in self.ledger.builds(self.base.name)), default=0)
        number = next_number(self.base, after=recorded)
        built = make_build(
            self.base,
            linked,
            number=number,
            created=_now(),
            threads=self.workspace.settings.usable_threads(),
            progress=self.progress,
            recipe=recipe_for(self.workspace.settings.method, self.base).as_dict(),
        )
        for stage, spent in built.seconds.items():
            self.seconds[stage] += spent
        start = time.perf_counter()
        checked = check_build(
            self.workspace, self.base, built.gguf, self._facts_of(linked), self._live_answers(), self.progress
        )
        self.seconds["verify"] += time.perf_counter() - start
        # Compiling the same facts again gives the same patch: if it is served, it is not new, and others need it. (If
        # it is not, a compile that was killed left it.)
        served = self.served.patches if self.served else ()
        new = [patch.id for patch in fresh if patch.id not in served]
        earlier = previous.new if previous is not None else ()
        return Attempt(tuple(patch.id for patch in linked), (*earlier, *new), number, checked)

    def _facts_of(self, patches: Sequence[Patch]) -> list[Fact]:
        """The enabled facts that these patches hold, as the ledger knows them."""
        wanted = {patch.id for patch in patches}
        return [fact for fact in self._facts() if fact.enabled and fact.patch in wanted]

    def _live_answers(self) -> dict[str, str]:
        """The facts that are live, and what the served build answered to their first questions when it was asked."""
        results = [] if self.served is None else self.ledger.results(self.base.name, self.served.number)
        answers = {result.fact_id: result.answer for result in results if result.position == 0 and result.right}
        return {identity: answers.get(identity, "") for identity in sorted(self.live)}

    def _compile_groups(self, plan: Plan, patches: Mapping[str, Patch], firmer: bool) -> list[Patch]:
        """Compile each group on top of all before it; store each patch and say in the ledger who is in it."""
        below = [patches[identity] for identity in plan.linked]
        fresh: list[Patch] = []
        for group in plan.groups:
            self.progress.say(f"Compiling {group.reason}.")
            patch = self._compile_group(group, below + fresh, firmer)
            self.ledger.assign_patch(
                [fact.id for fact in group.facts],
                patch.id,
                revisions={fact.id: fact.revision for fact in group.facts},
            )
            fresh.append(patch)
        return fresh

    def _compile_group(self, group: Group, below: Sequence[Patch], firmer: bool) -> Patch:
        with importing_libraries():
            from homeedit.editing.compile import Parent, compile_facts
        from homeedit.editing.recipes import recipe_for

        settings = self.workspace.settings
        holders: dict[str, list[Fact]] = {}
        for fact in self._facts():
            holders.setdefault(fact.patch or "", []).append(fact)
        recipe = recipe_for(settings.method, self.base)
        if group.harder:
            recipe = recipe.with_more_effort()
        if firmer:
            recipe = recipe.with_firmer_hold()
        compiled = compile_facts(
            group.facts,
            base=self.base,
            kept=[Parent(tuple(holders.get(patch.id, ())), load_delta(patch), load_keys(patch)) for patch in below],
            recipe=recipe,
            seed=settings.seed,
            device=chosen_device(settings.device),
            threads=settings.usable_threads(),
            progress=self.progress,
        )
        return write_patch(
            self.workspace.home.edits,
            delta=compiled.delta,
            keys=compiled.keys,
            facts=group.facts,
            base_name=self.base.name,
            fingerprint=self.base.fingerprint,
            parents=[patch.id for patch in below],
            recipe=recipe.as_dict(),
            seed=settings.seed,
            created=_now(),
        )

    def _activate(self, attempt: Attempt) -> BuildResult:
        """Record, finish, activate, prune."""
        checked = attempt.checked
        forced = not checked.verdict.activate
        self.ledger.record_build(
            BuildRecord(
                base=self.base.name,
                number=attempt.number,
                patches=attempt.linked,
                facts=tuple(fact.id for fact in checked.facts),
                forced=forced,
                locality=checked.locality_numbers(),
                seconds=self._elapsed(),
            )
        )
        self.ledger.record_results(self.base.name, attempt.number, answers_to_record(checked))
        finish(
            self.base,
            attempt.number,
            {"recall": checked.recall(), "locality": checked.locality_numbers(), "forced": forced},
        )
        activate(self.base, attempt.number)
        for number in prune(self.base, self.workspace.settings.keep_builds):
            self.progress.say(f"Deleted the old build {number}.")
        self.served = active_build(self.base)
        self._delete_orphans(self._facts())
        reasons = tuple(f"Overruled: {reason}" for reason in checked.verdict.reasons) if forced else ()
        return BuildResult(
            build=attempt.number,
            activated=True,
            facts=fact_results(self._facts(), checked),
            locality=checked.unrelated(),
            seconds=self._elapsed(),
            reasons=reasons,
        )

    def _refuse(self, attempt: Attempt) -> BuildResult:
        """Leave the served build, take the new patches back from their facts, and note why."""
        reasons = attempt.checked.verdict.reasons
        restored = self._former_patches(attempt.new)
        for identity in sorted({patch for patch in restored.values() if patch is not None}):
            self.ledger.assign_patch([fact for fact, patch in restored.items() if patch == identity], identity)
        without = [fact for fact, patch in restored.items() if patch is None]
        self.ledger.assign_patch(without, None)
        self.ledger.refuse(without, " ".join(reasons))
        for identity in set(attempt.new):
            delete_patch(self.workspace.home.edits, identity)
        clear_partials(self.base)
        return BuildResult(
            build=attempt.number,
            activated=False,
            facts=fact_results(self._facts(), attempt.checked),
            locality=attempt.checked.unrelated(),
            seconds=self._elapsed(),
            reasons=reasons,
        )

    def _former_patches(self, new: Sequence[str]) -> dict[str, str | None]:
        """For each fact of the new patches: the older patch on disk that holds the same words, or None.

        What the served build holds comes first, so that facts which are served stay as they were.
        """
        served = self.served.patches if self.served else ()
        older = [patch for patch in self._patches().values() if patch.id not in new]
        older.sort(key=lambda patch: (patch.id in served, patch.created), reverse=True)
        return {
            fact.id: next((patch.id for patch in older if holds(patch.facts, fact)), None)
            for fact in self._facts()
            if fact.patch in new
        }


def _is_whole(plan: Plan) -> bool:
    """Whether the plan already compiles everything together."""
    return not plan.linked and len(plan.groups) == 1


def _listed(ids: Sequence[str]) -> str:
    return ", ".join(ids)


def _now() -> str:
    return datetime.now(UTC).isoformat()
