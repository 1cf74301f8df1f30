"""What a home's base model is, how it is edited, and what all of it takes on disk."""

from collections.abc import Iterable
from pathlib import Path

from homeedit.editing.recipes import recipe_for
from homeedit.household.results import ModelFacts
from homeedit.household.workspace import Workspace


def model_facts(workspace: Workspace) -> ModelFacts:
    """The base model in use. Raises HomeEditError when it is missing or damaged."""
    base, home = workspace.base(), workspace.home
    return ModelFacts(
        name=base.name,
        source=base.source,
        architecture=base.architecture,
        parameters=base.parameters,
        fingerprint=base.fingerprint,
        layers=base.layers,
        edited_layers=base.edited_layers,
        recipe=recipe_for(workspace.settings.method, base).as_dict(),
        bytes={
            "weights": _size(base.weights_folder.rglob("*")),
            "gguf": _size([base.gguf]),
            "statistics": _size([base.statistics]),
            "builds": _size(base.builds.rglob("*")),
            "patches": _size(home.edits.glob("p*.safetensors")),
            # With what waits in its write-ahead log.
            "ledger": _size(home.edits.glob(f"{home.ledger.name}*")),
        },
    )


def _size(files: Iterable[Path]) -> int:
    total = 0
    for file in files:
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            # A build that is deleted meanwhile takes nothing.
            continue
    return total
