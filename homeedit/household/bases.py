"""Base models of a home: brought, listed, removed. The caller holds the lock where something is written."""

import time
from pathlib import Path

from homeedit.base.store import BaseModel, open_base, valid_name
from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.ledger import Ledger
from homeedit.household.adjusting import change_setting
from homeedit.household.results import Initialised
from homeedit.household.workspace import Workspace, chosen_device, clear_leftovers
from homeedit.progress import Progress
from homeedit.settings import Settings, write_settings


def initialise(workspace: Workspace, model: str | None, progress: Progress, *, stored: Settings) -> Initialised:
    """Make what is missing of a home: settings, ledger, base model, statistics. What is there stays.

    ``stored`` is what the settings file says or is to say: the workspace's settings without what was asked for
    this time only. Killed anywhere, the next call continues: each part appears by one rename.
    """
    started = time.perf_counter()
    home = workspace.home
    home.edits.mkdir(parents=True, exist_ok=True)
    home.models.mkdir(parents=True, exist_ok=True)
    with Ledger(home.ledger, create=True):
        pass
    if not home.settings_file.exists():
        write_settings(home, stored)
    clear_leftovers(home, None, progress)
    base = bring_model(workspace, model or stored.model, None, progress)
    if base.name != stored.model:
        change_setting(home, "model", base.name)
    seconds = time.perf_counter() - started
    return Initialised(str(home.root), base.name, base.fingerprint, seconds)


def bring_model(workspace: Workspace, source: str, name: str | None, progress: Progress) -> BaseModel:
    """The base model from ``source``, with its statistics: opened if it is there, else made."""
    from homeedit.base.sources import EMBEDDED, slug

    models, path = workspace.home.models, Path(source).expanduser()
    is_name = source == EMBEDDED or not path.exists() or (valid_name(source) and (models / source).is_dir())
    known = name or (source if is_name else slug(_stem(path)))
    if valid_name(known) and (models / known).is_dir():
        base = open_base(models, known)
        if not is_name:
            _refuse_other(base, path)
    else:
        from homeedit.base.add import add_base
        from homeedit.editing.recipes import default_layers

        base = add_base(
            models,
            source,
            name=name,
            choose_layers=default_layers,
            threads=workspace.settings.usable_threads(),
            progress=progress,
        )
    _complete(workspace, base, progress)
    return base


def _stem(path: Path) -> str:
    return path.resolve().name if path.is_dir() else path.stem


def _refuse_other(base: BaseModel, path: Path) -> None:
    """A file or folder whose name is taken by a model made from something else must not pass for it."""
    if base.source != str(path.resolve()):
        raise HomeEditError(
            f"There is a base model called {base.name!r} already, made from {base.source}.",
            f"Give this one another name: homeedit model add {path} --name NAME",
            USAGE,
        )


def _complete(workspace: Workspace, base: BaseModel, progress: Progress) -> None:
    """Make the statistics of preserved knowledge if they are not there or not whole."""
    from homeedit.editing.statistics import have_statistics, make_statistics

    clear_leftovers(workspace.home, base, progress)
    if have_statistics(base):
        return
    settings = workspace.settings
    make_statistics(
        base,
        seed=settings.seed,
        device=chosen_device(settings.device),
        threads=settings.usable_threads(),
        progress=progress,
    )


def refuse_used(workspace: Workspace, name: str) -> None:
    """Raise HomeEditError when ``name`` is the model in use and whole; a damaged one may be removed."""
    if name != workspace.settings.model:
        return
    try:
        open_base(workspace.home.models, name)
    except HomeEditError:
        return
    raise HomeEditError(
        f"{name} is the model in use; it was not removed.",
        "Switch to another with `homeedit init --model NAME` first.",
    )
