"""Undo: a fact becomes again what it was."""

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.facts.ledger import Ledger
from homeedit.facts.records import spelled
from homeedit.household.teaching import refuse_duplicate
from homeedit.household.workspace import Workspace


def put_back(workspace: Workspace, ledger: Ledger, fact: Fact) -> None:
    """Make the stored fact what ``fact`` says; see ``Household.put_back``."""
    refuse_duplicate(ledger.duplicate_of(fact.sentence, ignore=[fact.id]))
    ledger.put_back(fact, _usable_patch(workspace, ledger, fact))


def _usable_patch(workspace: Workspace, ledger: Ledger, fact: Fact) -> str | None:
    """The fact's patch, if its file is there and holds these very words."""
    from homeedit.patches.facts import holds
    from homeedit.patches.store import find_patch

    if fact.patch is None or _is_as_stored(ledger, fact):
        return fact.patch
    try:
        patch = find_patch(workspace.home.edits, fact.patch)
    except HomeEditError:
        return None
    return patch.id if holds(patch.facts, fact) else None


def _is_as_stored(ledger: Ledger, fact: Fact) -> bool:
    """Whether words and patch are what the ledger has: then no file has to be looked at."""
    try:
        stored = ledger.get(fact.id)
    except HomeEditError:
        return False
    return (stored.patch, spelled(stored)) == (fact.patch, spelled(fact))
