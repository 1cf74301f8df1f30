"""What is made of the facts: builds and patches, asked, compared and taken back."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from homeedit.household.opened import OpenHome
from homeedit.household.results import Answer, BuildChange, BuildResult, ToCompile
from homeedit.household.teaching import OnConflict
from homeedit.household.workspace import clear_leftovers, disk_errors_in_words
from homeedit.progress import Progress

if TYPE_CHECKING:
    from homeedit.builds.history import Build
    from homeedit.household.serving.engine import Serving
    from homeedit.household.talking import Talk
    from homeedit.patches.store import Patch


class Building(OpenHome):
    """Models: compiled, asked, verified, reverted; their patches and builds."""

    def compile(
        self,
        *,
        consolidate: bool = False,
        force: bool = False,
        retry: Sequence[str] = (),
        progress: Progress | None = None,
        wait: bool = True,
    ) -> BuildResult:
        """Bring the model up to date with the ledger: compile, link, merge, quantize, verify, activate.

        With ``force`` a build that the gate refuses is activated all the same, and that is recorded. The facts in
        ``retry`` are compiled anew, with more effort.
        """
        from homeedit.household.compiling import Compiler

        progress = progress or Progress()
        with self._locked("compile", progress, wait), self._opened() as ledger:
            compiler = Compiler(self.workspace, ledger, self.workspace.base(), progress, force=force, retry=retry)
            return compiler.run(consolidate=consolidate)

    def outlook(self) -> ToCompile:
        """What ``compile`` would do now: which facts it would learn, put in or leave out, and why."""
        from homeedit.household.outlook import outlook

        with self._opened() as ledger:
            return outlook(self.workspace, ledger, self.workspace.base())

    def ask(self, questions: Sequence[str], *, base: bool = False) -> Iterator[Answer]:
        """Answer questions one by one, greedily, from the active build or (``base``) the base model."""
        from homeedit.household.asking import answers

        return answers(self.workspace, questions, base)

    def talk(self) -> "Talk":
        """Answers that grow word by word, from models that stay loaded until the talk is closed."""
        from homeedit.household.talking import Talk

        return Talk(lambda: self.workspace)

    def serve(self, *, live_lora: bool = False) -> "Serving":
        """Answers for the clients of a server, from the active build and from the base model; loaded before it
        returns. What becomes active later is served without a break. Close it.

        ``live_lora``: builds are put on the base GGUF as adapters, which takes milliseconds to exchange.
        """
        from homeedit.household.serving.engine import Serving

        self._check_home()
        with disk_errors_in_words():
            return Serving(lambda: self.workspace, live_lora=live_lora)

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

    def active_number(self) -> int | None:
        """The number of the build that is served, None for the base model; whether it is whole is not looked at."""
        return self.workspace.active_number()

    def use(self, number: int | None, *, progress: Progress | None = None, wait: bool = True) -> None:
        """Serve another build, or the base model (None)."""
        from homeedit.builds.history import activate

        progress = progress or Progress()
        with self._locked("build use", progress, wait):
            activate(self.workspace.base(), number)

    def prune(
        self,
        keep: int | None = None,
        *,
        dry_run: bool = False,
        progress: Progress | None = None,
        wait: bool = True,
    ) -> list[int]:
        """Delete all but the newest builds; returns the numbers of those that went, or (``dry_run``) would go."""
        from homeedit.builds.history import old_builds, prune

        if dry_run:
            with disk_errors_in_words():
                old = old_builds(self.workspace.base(), self.settings.keep_builds if keep is None else keep)
            return [build.number for build in old]
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

    def compare(self, older: int | None, newer: int | None) -> BuildChange:
        """What changed from one build to another (None: the base model), as far as it was written down."""
        from homeedit.household.comparing import compare_builds

        with self._opened() as ledger:
            return compare_builds(ledger, self.workspace.base(), older, newer)
