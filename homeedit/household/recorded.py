"""What the ledger recorded of earlier verifications; light, for lists and for a compile with nothing to do."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from homeedit.facts.fact import Fact
from homeedit.facts.ledger import Ledger
from homeedit.household.results import AskedQuestion, BuildResult, FactResult, Unrelated
from homeedit.household.workspace import Workspace

if TYPE_CHECKING:
    from homeedit.builds.history import Build


def recorded_facts(ledger: Ledger, workspace: Workspace, facts: Sequence[Fact]) -> list[FactResult]:
    """How facts fared when the active build was last asked, and why they were refused, if they were."""
    refusals = ledger.refusals()
    results = _fared(ledger, workspace.settings.model, workspace.active_number() or 0, facts)
    return [replace(result, refused=refusals.get(result.id, "")) for result in results]


def _fared(ledger: Ledger, base: str, number: int, facts: Sequence[Fact]) -> tuple[FactResult, ...]:
    """How facts fared when build ``number`` was last asked, from the ledger."""
    answers: dict[tuple[str, int], list[AskedQuestion]] = {}
    for row in ledger.results(base, number):
        answers.setdefault((row.fact_id, row.revision), []).append(AskedQuestion(row.question, row.answer, row.right))
    results = []
    for fact in facts:
        asked = tuple(answers.get((fact.id, fact.revision), ()))
        share = sum(each.right for each in asked) / len(asked) if asked else None
        results.append(FactResult(fact.id, fact.sentence, fact.state, share, asked))
    return tuple(results)


def recorded_result(ledger: Ledger, base: str, build: "Build", seconds: dict[str, float]) -> BuildResult:
    """The result of a compile with nothing to do: what was recorded of the active build."""
    facts = [
        fact for fact in ledger.facts(base=base, active=build.number, enabled_only=True) if fact.patch in build.patches
    ]
    record = next((each for each in ledger.builds(base) if each.number == build.number), None)
    numbers = None if record is None else record.locality
    return BuildResult(
        build=build.number,
        activated=True,
        facts=_fared(ledger, base, build.number, facts),
        locality=None
        if numbers is None
        else Unrelated(float(numbers["kl"]), int(numbers["kept"]), int(numbers["asked"])),
        seconds=seconds,
        changed=False,
    )
