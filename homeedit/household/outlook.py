"""What a compile would do now, told without doing it. Nothing is loaded."""

from homeedit.base.store import BaseModel
from homeedit.builds.history import active_build
from homeedit.errors import HomeEditError
from homeedit.facts.ledger import Ledger
from homeedit.household.plan import make_plan, to_do
from homeedit.household.results import ToCompile
from homeedit.household.workspace import Workspace
from homeedit.patches.store import Patch, list_patches


def usable_patches(workspace: Workspace, base: BaseModel) -> dict[str, Patch]:
    """Patches on disk that can be used with this base, oldest first."""
    layers = set(base.edited_layers)
    return {
        patch.id: patch
        for patch in list_patches(workspace.home.edits)
        if patch.fingerprint == base.fingerprint and set(patch.layers) <= layers
    }


def outlook(workspace: Workspace, ledger: Ledger, base: BaseModel) -> ToCompile:
    """The plan of a plain compile, held against the build that is served."""
    served, damaged = None, ""
    try:
        served = active_build(base)
    except HomeEditError as error:
        damaged = error.message
    facts = ledger.facts(base=base.name, active=None if served is None else served.number)
    sizes = {identity: len(patch.facts) for identity, patch in usable_patches(workspace, base).items()}
    plan = make_plan(facts, sizes)
    patches = () if served is None else served.patches
    found = to_do(plan, facts, patches, () if served is None else served.facts)
    needed = bool(plan.groups) or set(plan.linked) != set(patches) or bool(damaged)
    return ToCompile(found if needed else (), needed, damaged)
