"""The gate: whether a build that loads may become the one that is served."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from homeedit.verify.locality import Locality
from homeedit.verify.recall import Recall


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a build may be from the base on questions that have nothing to do with the facts."""

    kl: float = 0.10
    """Most KL(base ‖ build), in nats per token."""

    kept_share: float = 0.80
    """Least share of the base's firm right answers that must still be right; one may always be lost."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``activate``: the build may be served. ``reasons``: what speaks against it, in plain words; also there
    when it is activated by force. ``lost``: ids of facts that were live and are no longer recalled."""

    activate: bool
    reasons: tuple[str, ...]
    lost: tuple[str, ...]


def judge(
    locality: Locality,
    recalls: Sequence[Recall],
    previously_live: Collection[str],
    limits: Limits | None = None,
    *,
    force: bool = False,
) -> Verdict:
    """Judge a build by its locality and by the facts that were live before.

    A fact that was live and was asked must still be recalled; one that was not asked was taken out on purpose.
    New facts that are not recalled do not stop a build: they are reported as failed. A base that answered no
    question firmly sets no limit on kept answers. With ``force`` the build is activated whatever the reasons.
    """
    limits = limits or Limits()
    reasons = []
    if not locality.kl <= limits.kl:
        reasons.append(
            f"Other answers changed too much: {locality.kl:.3f} nats per token against the base,"
            f" at most {limits.kl:g} are allowed."
        )
    if locality.kept < min(locality.asked - 1, limits.kept_share * locality.asked):
        reasons.append(
            f"Of {locality.asked} general questions that the base answers rightly and firmly, {locality.kept} are"
            f" still answered rightly; at least {limits.kept_share:.0%} must be."
        )
    missed = [recall for recall in recalls if recall.fact_id in previously_live and not recall.recalled]
    if missed:
        named = "; ".join(recall.sentence for recall in missed[:3]) + ("; …" if len(missed) > 3 else "")
        count = "A fact that was live is" if len(missed) == 1 else f"{len(missed)} facts that were live are"
        reasons.append(f"{count} no longer recalled: {named}")
    return Verdict(
        activate=force or not reasons,
        reasons=tuple(reasons),
        lost=tuple(recall.fact_id for recall in missed),
    )
