"""Two builds side by side, from what was written down when they were made and asked. Nothing is loaded."""

from typing import Any

from homeedit.base.store import BaseModel
from homeedit.builds.history import open_build, read_manifest
from homeedit.facts.ledger import Ledger
from homeedit.facts.records import Result
from homeedit.household.results import BuildChange, ChangedAnswer


def compare_builds(ledger: Ledger, base: BaseModel, older: int | None, newer: int | None) -> BuildChange:
    """What changed from one build to another; None is the base model, which was taught and asked nothing.

    Raises:
        HomeEditError: there is no such build, or it is damaged.
    """
    before, after = _manifest(base, older), _manifest(base, newer)
    had, has = _sentences(before), _sentences(after)
    return BuildChange(
        older=older,
        newer=newer,
        added=tuple(sentence for sentence in has if sentence not in had),
        removed=tuple(sentence for sentence in had if sentence not in has),
        answers=_changed_answers(_results(ledger, base, older), _results(ledger, base, newer)),
        kl=(_kl(before), _kl(after)),
        recall=(_number(before.get("recall")), _number(after.get("recall"))),
    )


def _manifest(base: BaseModel, number: int | None) -> dict[str, Any]:
    return {} if number is None else read_manifest(open_build(base, number))


def _sentences(manifest: dict[str, Any]) -> list[str]:
    """The sentences it was taught; of a fact without one, as in a manifest of other hands, the id."""
    facts = [fact for fact in manifest.get("facts") or () if isinstance(fact, dict)]
    words = [fact.get("sentence") or fact.get("id") for fact in facts]
    return list(dict.fromkeys(str(each) for each in words if each))


def _results(ledger: Ledger, base: BaseModel, number: int | None) -> list[Result]:
    return [] if number is None else ledger.results(base.name, number)


def _changed_answers(before: list[Result], after: list[Result]) -> tuple[ChangedAnswer, ...]:
    """Questions of the same fact that both were asked, and did not answer alike."""
    earlier = {(result.fact_id, result.question): result for result in before}
    pairs = [(earlier.get((result.fact_id, result.question)), result) for result in after]
    return tuple(
        ChangedAnswer(now.question, then.answer, now.answer, then.right, now.right)
        for then, now in pairs
        if then is not None and (then.answer, then.right) != (now.answer, now.right)
    )


def _kl(manifest: dict[str, Any]) -> float | None:
    locality = manifest.get("locality")
    return _number(locality.get("kl")) if isinstance(locality, dict) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
