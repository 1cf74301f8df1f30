"""Patches and builds going out of a home, and patches coming in."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from homeedit.base.store import BaseModel
from homeedit.builds.history import Build, active_build, open_build
from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.fact import Fact, ParsedFact
from homeedit.facts.ledger import Ledger
from homeedit.facts.records import plain_sentence
from homeedit.household.teaching import (
    Contradiction,
    KnownFacts,
    OnConflict,
    the_one_to_replace,
    warn_of_secrets,
)
from homeedit.household.workspace import Workspace
from homeedit.patches.store import Patch, PatchFact, check_patch, store_patch
from homeedit.progress import Progress

FORMATS = ("homeedit", "peft", "gguf-lora")


def export_patches(patches: Sequence[Patch], base: BaseModel, out: Path, format_name: str, force: bool) -> None:
    """Write patches to ``out`` in one of ``FORMATS``. Raises HomeEditError for another format or a full disk."""
    from homeedit.patches.export import export_gguf_lora, export_homeedit, export_peft

    if format_name == "homeedit":
        export_homeedit(patches, out, force=force)
    elif format_name == "peft":
        export_peft(patches, base, out, force=force)
    elif format_name == "gguf-lora":
        export_gguf_lora(patches, base, out, force=force)
    else:
        raise HomeEditError(f"There is no format {format_name!r}.", f"Formats: {', '.join(FORMATS)}.", exit_code=USAGE)


def inspect_patch(base: BaseModel, file: Path) -> Patch:
    """Check a file from elsewhere completely, storing nothing."""
    return check_patch(
        file,
        fingerprint=base.fingerprint,
        edited_layers=base.edited_layers,
        d_model=base.d_model,
        d_ff=base.d_ff,
    )


def import_patch(
    workspace: Workspace,
    ledger: Ledger,
    base: BaseModel,
    file: Path,
    on_conflict: OnConflict,
    progress: Progress,
) -> Patch:
    """Check a patch and take it in, with its facts. The caller holds the lock.

    The facts come first, the new ones all at once: killed or out of disk in between, they are drafts that the
    next compile compiles, or that importing again takes for the patch's.

    Raises:
        HomeEditError: the patch is not in order, or a fact of it is known in other words; nothing was stored.
        Contradiction: a fact of it contradicts a known one, and ``on_conflict`` is ``refuse``.
    """
    patch = inspect_patch(base, file)
    known = KnownFacts(ledger.facts())
    matches = [_match(known, fact, on_conflict) for fact in patch.facts]
    pairs = list(zip(patch.facts, matches, strict=True))
    added = iter(ledger.add_all(_parsed(fact) for fact, match in pairs if match is None))
    ids = [next(added).id if match is None else match.id for match in matches]
    for fact, match in pairs:
        if match is not None and not _same(match, fact):
            ledger.edit(match.id, _parsed(fact))
    stored = store_patch(patch, workspace.home.edits, ids)
    ledger.assign_patch(ids, stored.id)
    warn_of_secrets([fact.sentence for fact in patch.facts], progress)
    disabled = [match.id for match in matches if match is not None and not match.enabled]
    if disabled:
        progress.say(f"Disabled here: {', '.join(disabled)}. `homeedit fact enable` switches them on.")
    return stored


def _match(known: KnownFacts, fact: PatchFact, on_conflict: OnConflict) -> Fact | None:
    """The known fact that this one is, or replaces; None if it is new."""
    twin = known.duplicate_of(fact.sentence)
    if twin is not None:
        if not _same(twin, fact):
            raise HomeEditError(
                f'The patch spells "{fact.sentence}" otherwise than {twin.id} here '
                f'("{fact.prompt} | {fact.target}"). Nothing was stored.',
                f"Remove {twin.id} first, or keep it and compile it here.",
            )
        return twin
    against = known.contradicted_by(_parsed(fact))
    if not against or on_conflict == "keep":
        return None
    if on_conflict == "refuse":
        raise Contradiction(fact.sentence, against)
    return the_one_to_replace(_parsed(fact), against)


def _same(fact: Fact, held: PatchFact) -> bool:
    return (plain_sentence(fact.sentence), fact.prompt, fact.target) == (
        plain_sentence(held.sentence),
        held.prompt,
        held.target,
    )


def _parsed(fact: PatchFact) -> ParsedFact:
    return ParsedFact(fact.sentence, fact.subject, fact.prompt, fact.target, fact.questions, fact.relation)


def chosen_build(base: BaseModel, number: int | None, purpose: str) -> Build:
    """Build ``number``, or the active one; raises HomeEditError when there is none."""
    build = active_build(base) if number is None else open_build(base, number)
    if build is None:
        raise HomeEditError(
            f"There is no build to {purpose}: the base model itself is served.",
            "Run `homeedit compile` first.",
        )
    return build


def export_build(base: BaseModel, number: int | None, out: Path, force: bool) -> Build:
    """Copy a build's GGUF to ``out``, which is then whole; an existing file only with ``force``."""
    build = chosen_build(base, number, "export")
    if out.is_dir():
        raise HomeEditError(f"{out} is a folder.", "Name the GGUF file to write.", USAGE)
    if out.exists() and not force:
        raise HomeEditError(
            f"{out} is already there; it was left as it is.",
            "Choose another path, or overwrite: --force",
            USAGE,
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        shutil.copyfile(build.gguf, partial)
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return build
