"""Household: all that a face can ask for. Everything heavy is imported where it is needed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact, ParsedFact
from homeedit.household.results import Answer, BuildResult, Check, FactResult, Imported, Initialised
from homeedit.household.teaching import OnConflict
from homeedit.household.workspace import Workspace, clear_leftovers, disk_errors_in_words
from homeedit.progress import Progress
from homeedit.settings import Home, Settings, load_settings

if TYPE_CHECKING:
    from homeedit.base.store import BaseModel
    from homeedit.builds.history import Build
    from homeedit.facts.ledger import Ledger
    from homeedit.patches.store import Patch


class Household:
    """A home and what can be done in it. Faces call this and nothing else.

    Methods that change models, patches or builds take the home's lock: they wait for another process that
    holds it, or with ``wait=False`` raise HomeEditError. All others never wait. Long methods report to
    ``progress`` and stop with Cancelled when it is cancelled. Every method raises HomeEditError for what a
    person can act on.
    """

    def __init__(self, home: Home, settings: Settings | None = None, *, device: str | None = None) -> None:
        self.home = home
        self._settings = settings
        self._device = device
        """Where to compile instead of where the settings say."""

    @property
    def settings(self) -> Settings:
        """The home's settings, read when first needed, with the device that was asked for."""
        if self._settings is None:
            self._settings = load_settings(self.home)
        return replace(self._settings, device=self._device or self._settings.device)

    @property
    def workspace(self) -> Workspace:
        """Home and settings, for the parts of Household."""
        return Workspace(self.home, self.settings)

    @contextmanager
    def _opened(self) -> Iterator["Ledger"]:
        with disk_errors_in_words(), self.workspace.ledger() as ledger:
            yield ledger

    @contextmanager
    def _locked(self, command: str, progress: Progress, wait: bool) -> Iterator[None]:
        from homeedit.household.lock import locked

        with disk_errors_in_words():
            if not self.home.exists:
                raise HomeEditError(
                    f"{self.home.root} is not a home of homeedit.",
                    "Make it with `homeedit init`, or name another with --home.",
                )
            with locked(self.home, command, progress, wait=wait):
                yield

    # The home

    def init(self, model: str | None = None, *, progress: Progress | None = None, wait: bool = True) -> Initialised:
        """Make the home, or what is missing of it; ``model`` is a name, a GGUF file or a folder."""
        from homeedit.household.bases import initialise
        from homeedit.household.lock import locked

        progress = progress or Progress()
        with disk_errors_in_words():
            self.home.root.mkdir(parents=True, exist_ok=True)
            with locked(self.home, "init", progress, wait=wait):
                stored = self._settings or load_settings(self.home)
                ready = initialise(self.workspace, model, progress, stored=stored)
            self._settings = replace(stored, model=ready.model)
        return ready

    def doctor(self, *, full: bool = False) -> list[Check]:
        """Check machine, packages and home; ``full`` reads every model file."""
        from homeedit.household.machine import check_all

        try:
            workspace = self.workspace
        except HomeEditError as error:
            broken = Check("settings", False, f"{error.message} {error.hint}".strip())
            return [broken, *check_all(Workspace(self.home, Settings(device=self._device or "auto")), full=full)]
        return list(check_all(workspace, full=full))

    # Facts

    def preview(
        self,
        sentence: str,
        *,
        subject: str | None = None,
        prompt: str | None = None,
        target: str | None = None,
        questions: Sequence[str] = (),
    ) -> ParsedFact:
        """What ``add`` would understand; nothing is stored."""
        from homeedit.facts.parse import parse_sentence

        return parse_sentence(sentence, subject=subject, prompt=prompt, target=target, questions=questions)

    def add(
        self,
        sentence: str,
        *,
        subject: str | None = None,
        prompt: str | None = None,
        target: str | None = None,
        questions: Sequence[str] = (),
        on_conflict: OnConflict = "refuse",
        progress: Progress | None = None,
    ) -> Fact:
        """Store one sentence. Raises Contradiction when it contradicts a known one and nothing was chosen."""
        from homeedit.household.teaching import add_fact

        with self._opened() as ledger:
            parsed = self.preview(sentence, subject=subject, prompt=prompt, target=target, questions=questions)
            return add_fact(ledger, parsed, on_conflict, progress or Progress())

    def import_facts(
        self,
        lines: Sequence[str],
        *,
        dry_run: bool = False,
        on_conflict: OnConflict = "refuse",
        progress: Progress | None = None,
    ) -> Imported:
        """Store the good lines of many, and say of the others what is wrong with them."""
        from homeedit.household.teaching import Import, warn_of_secrets

        with self._opened() as ledger:
            judged = Import(ledger.facts(), on_conflict)
            for number, line in enumerate(lines, start=1):
                judged.take(number, line)
            imported = judged.previewed() if dry_run else judged.store(ledger)
        warn_of_secrets([fact.sentence for fact in imported.facts], progress or Progress())
        return imported

    def facts(self) -> list[Fact]:
        """All facts, oldest first."""
        with self._opened() as ledger:
            return self.workspace.facts(ledger)

    def fact(self, fact_id: str) -> Fact:
        """One fact."""
        with self._opened() as ledger:
            return self.workspace.fact(ledger, fact_id)

    def fact_result(self, fact_id: str) -> FactResult:
        """How a fact fared when the active build was last asked, and why it was refused, if it was."""
        from homeedit.household.recorded import recorded_facts

        with self._opened() as ledger:
            fact = self.workspace.fact(ledger, fact_id)
            active = self.workspace.active_number()
            (result,) = recorded_facts(ledger, self.settings.model, active or 0, [fact])
            return replace(result, refused=ledger.refusals().get(fact.id, ""))

    def edit(
        self,
        fact_id: str,
        *,
        sentence: str | None = None,
        subject: str | None = None,
        prompt: str | None = None,
        target: str | None = None,
        questions: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Fact:
        """Store a new revision of a fact; the old one is kept."""
        from homeedit.household.teaching import edit_fact

        with self._opened() as ledger:
            return edit_fact(
                ledger,
                fact_id,
                sentence=sentence,
                subject=subject,
                prompt=prompt,
                target=target,
                questions=questions,
                progress=progress or Progress(),
            )

    def remove(self, fact_id: str) -> Fact:
        """Take a fact off the list; its history stays."""
        with self._opened() as ledger:
            fact = self.workspace.fact(ledger, fact_id)
            ledger.remove(fact.id)
            return fact

    def purge(
        self, fact_id: str, *, progress: Progress | None = None, wait: bool = True
    ) -> tuple[Fact, BuildResult | None]:
        """Delete a fact and every patch and build that holds it; None when no build had to be made."""
        from homeedit.household.reverting import purge

        progress = progress or Progress()
        with self._locked("fact remove --purge", progress, wait), self._opened() as ledger:
            return purge(self.workspace, ledger, self.workspace.base(), fact_id, progress)

    def enable(self, fact_ids: Sequence[str]) -> list[Fact]:
        """Switch facts on."""
        return self._switch(fact_ids, True)

    def disable(self, fact_ids: Sequence[str]) -> list[Fact]:
        """Switch facts off, keeping them."""
        return self._switch(fact_ids, False)

    def _switch(self, fact_ids: Sequence[str], enabled: bool) -> list[Fact]:
        with self._opened() as ledger:
            ids = list(dict.fromkeys(ledger.get(fact_id).id for fact_id in fact_ids))
            ledger.set_enabled(ids, enabled)
            return [self.workspace.fact(ledger, fact_id) for fact_id in ids]

    # The model

    def compile(
        self,
        *,
        consolidate: bool = False,
        force: bool = False,
        progress: Progress | None = None,
        wait: bool = True,
    ) -> BuildResult:
        """Bring the model up to date with the ledger: compile, link, merge, quantize, verify, activate.

        With ``force`` a build that the gate refuses is activated all the same, and that is recorded.
        """
        from homeedit.household.compiling import Compiler

        progress = progress or Progress()
        with self._locked("compile", progress, wait), self._opened() as ledger:
            compiler = Compiler(self.workspace, ledger, self.workspace.base(), progress, force=force)
            return compiler.run(consolidate=consolidate)

    def ask(self, questions: Sequence[str], *, base: bool = False) -> Iterator[Answer]:
        """Answer questions one by one, greedily, from the active build or (``base``) the base model."""
        from homeedit.household.asking import answers

        return answers(self.workspace, questions, base)

    def verify(self, number: int | None = None, *, progress: Progress | None = None) -> BuildResult:
        """Ask a build (the active one if none is named) its facts' questions again and keep the answers."""
        from homeedit.household.checking import verify_build
        from homeedit.household.exchanging import chosen_build

        with self._opened() as ledger:
            base = self.workspace.base()
            build = chosen_build(base, number, "verify")
            return verify_build(self.workspace, ledger, base, build, progress or Progress())

    # Patches

    def patches(self) -> list["Patch"]:
        """All readable patches, oldest first."""
        from homeedit.patches.store import list_patches

        with self._opened():
            return list_patches(self.home.edits)

    def find_patches(self, ids: Sequence[str]) -> list["Patch"]:
        """The patches that are named, or that hold the named facts."""
        from homeedit.household.reverting import named_patches

        with self._opened() as ledger:
            return named_patches(self.workspace, ledger, ids)

    def export_patches(
        self, ids: Sequence[str], out: Path, *, format_name: str = "homeedit", force: bool = False
    ) -> list["Patch"]:
        """Write patches to a file for elsewhere; an existing one only with ``force``."""
        from homeedit.household.exchanging import export_patches

        patches = self.find_patches(ids)
        with disk_errors_in_words():
            export_patches(patches, self.workspace.base(), out, format_name, force)
        return patches

    def inspect_patch(self, file: Path) -> "Patch":
        """Check a patch from elsewhere completely, storing nothing."""
        from homeedit.household.exchanging import inspect_patch

        with disk_errors_in_words():
            return inspect_patch(self.workspace.base(), file)

    def import_patch(
        self,
        file: Path,
        *,
        on_conflict: OnConflict = "refuse",
        progress: Progress | None = None,
        wait: bool = True,
    ) -> "Patch":
        """Check a patch from elsewhere and take it in with its facts; the next compile links it."""
        from homeedit.household.exchanging import import_patch

        progress = progress or Progress()
        with self._locked("patch import", progress, wait), self._opened() as ledger:
            base = self.workspace.base()
            return import_patch(self.workspace, ledger, base, file, on_conflict, progress)

    def revert(
        self,
        ids: Sequence[str],
        *,
        force: bool = False,
        progress: Progress | None = None,
        wait: bool = True,
    ) -> tuple[list["Patch"], BuildResult]:
        """Disable the facts of patches, or single facts, and serve a build without them, at once."""
        from homeedit.household.reverting import revert

        progress = progress or Progress()
        with self._locked("patch revert", progress, wait), self._opened() as ledger:
            return revert(self.workspace, ledger, self.workspace.base(), ids, force, progress)

    # Builds

    def builds(self) -> tuple[list["Build"], int | None]:
        """All builds, oldest first, and the active one's number."""
        from homeedit.builds.history import active_number, list_builds

        with disk_errors_in_words():
            base = self.workspace.base()
            return list_builds(base), active_number(base)

    def use(self, number: int | None, *, progress: Progress | None = None, wait: bool = True) -> None:
        """Serve another build, or the base model (None)."""
        from homeedit.builds.history import activate

        progress = progress or Progress()
        with self._locked("build use", progress, wait):
            activate(self.workspace.base(), number)

    def prune(self, keep: int | None = None, *, progress: Progress | None = None, wait: bool = True) -> list[int]:
        """Delete all but the newest builds; returns the deleted ones' numbers."""
        from homeedit.builds.history import prune

        progress = progress or Progress()
        with self._locked("build prune", progress, wait):
            base = self.workspace.base()
            clear_leftovers(self.home, base, progress)
            return prune(base, self.settings.keep_builds if keep is None else keep)

    def export_build(self, number: int | None, out: Path, *, force: bool = False) -> "Build":
        """Copy a build's GGUF to ``out``; an existing file only with ``force``."""
        from homeedit.household.exchanging import export_build

        with disk_errors_in_words():
            return export_build(self.workspace.base(), number, out, force)

    # Base models

    def models(self) -> list["BaseModel"]:
        """The base models of the home."""
        from homeedit.base.store import list_bases

        return list_bases(self.home.models)

    def add_model(
        self,
        source: str,
        *,
        name: str | None = None,
        progress: Progress | None = None,
        wait: bool = True,
    ) -> "BaseModel":
        """Bring a base model with its statistics; ``init`` switches to it."""
        from homeedit.household.bases import bring_model

        progress = progress or Progress()
        with self._locked("model add", progress, wait):
            return bring_model(self.workspace, source, name, progress)

    def remove_model(self, name: str, *, progress: Progress | None = None, wait: bool = True) -> None:
        """Delete a base model with its builds; facts and patches stay."""
        from homeedit.base.store import remove_base
        from homeedit.household.bases import refuse_used

        progress = progress or Progress()
        with self._locked("model remove", progress, wait):
            refuse_used(self.workspace, name)
            remove_base(self.home.models, name)
