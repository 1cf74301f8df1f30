"""What kind of thing a clause's target is, by its words and by what stands before them."""

import re

from homeedit.facts.clause import Clause
from homeedit.facts.kinds import TIME_KINDS, TargetKind, is_hour, target_kind
from homeedit.facts.words import plain

_NUMBERED = frozenset("number plate card code iban account phone mobile id".split())
_PAYING = frozenset("cost charge pay earn get owe".split())


def kind_of_target(clause: Clause) -> TargetKind:
    """The kind of the clause's target; a bare small number after "at" is a time."""
    kind = target_kind(clause.target)
    if kind == "measure" and "pound" in clause.target and clause.lemma in _PAYING:
        return "money"
    if clause.preposition == "in" and re.match(r"(19|20)\d\d\b", clause.target):
        # "Oma's phone number ends in 2014": its digits, not its last year.
        return "number" if clause.lemma == "end" and plain(clause.subject.split()[-1]) in _NUMBERED else "year"
    if clause.preposition not in (
        "",
        "at",
        "until",
        "till",
        "by",
        "from",
        "before",
        "after",
        "around",
        "between",
    ):
        return kind
    if clause.preposition and is_hour(clause.target):
        return "clock"
    if kind == "text" and clause.preposition:
        # "from November to March", "between six and seven"
        parts = re.split(r" (?:to|and|until|till|-|–) ", clause.target)
        if len(parts) == 2 and is_hour(parts[0]):
            return "clock"
        return target_kind(parts[0]) if len(parts) == 2 and target_kind(parts[0]) in TIME_KINDS else kind
    return kind
