"""Patches and builds: what was compiled, what is served, what was served before."""

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.widgets import Static

from homeedit.household import OnConflict
from homeedit.tui.actions import bindings_of
from homeedit.tui.history import BuildRow, History, PatchRow, read_history
from homeedit.tui.history_words import build_text, listed, patch_text
from homeedit.tui.pane import Pane
from homeedit.tui.widgets.rows import Column, Rows
from homeedit.tui.words import build_name, counted, day, minute, percent, shortened, size

_WIDE = 150
"""Cells from which the two tables stand side by side."""


class BuildsPane(Pane):
    """Two tables and the details of the row under the cursor of the one that had the focus last."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("builds")]

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.history = History()
        self._on_builds = False

    def compose(self) -> ComposeResult:
        yield Static("", id="history-problem", markup=False)
        with Container(id="history"):
            yield Rows(
                [
                    Column("State", 12),
                    Column("Facts", least=30),
                    Column("Size", 8),
                    Column("Rank", 4),
                    Column("Made", 10),
                    Column("ID", 9, spare=True),
                    Column("Base", 14, spare=True),
                ],
                id="patch-rows",
                title="Patches",
            )
            yield Rows(
                [
                    Column("Build", 5),
                    Column("State", least=10),
                    Column("Made", 16),
                    Column("Facts", 5),
                    Column("Recall", 6),
                    Column("Kept", 7, spare=True),
                    Column("KL", 6, spare=True),
                    Column("Size", 8, spare=True),
                ],
                id="build-rows",
                title="Builds",
            )
        with VerticalScroll(id="history-detail"):
            yield Static("", id="history-text", markup=False)

    # Loading

    def refresh_data(self) -> None:
        self.face.perform(lambda: read_history(self.face.household), self._show)

    def _show(self, history: History) -> None:
        self.history = history
        problem = self.query_one("#history-problem", Static)
        problem.update("\n".join(f"✗ {line}" for line in history.problems))
        problem.set_class(bool(history.problems), "-shown")
        patches, builds = self._patch_rows, self._build_rows
        patches.border_title = f"Patches · {len(history.patches)}"
        builds.border_title = f"Builds · {len(history.builds)} · {build_name(history.served)} served"
        patches.show([(patch.id, _patch_cells(patch)) for patch in history.patches])
        builds.show([(str(build.number), _build_cells(build)) for build in history.builds])
        self._show_detail()

    def on_resize(self, event: events.Resize) -> None:
        """Side by side where there is room."""
        self.set_class(event.size.width >= _WIDE, "-wide")

    @property
    def _patch_rows(self) -> Rows:
        return self.query_one("#patch-rows", Rows)

    @property
    def _build_rows(self) -> Rows:
        return self.query_one("#build-rows", Rows)

    @property
    def patch(self) -> PatchRow | None:
        """The patch under the cursor."""
        return next((patch for patch in self.history.patches if patch.id == self._patch_rows.current), None)

    @property
    def build(self) -> BuildRow | None:
        """The build under the cursor."""
        return next((build for build in self.history.builds if str(build.number) == self._build_rows.current), None)

    def focus_first(self) -> None:
        (self._build_rows if self._on_builds else self._patch_rows).focus()

    @on(events.DescendantFocus)
    def _note_table(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, Rows):
            self._on_builds = event.widget.id == "build-rows"
            self._show_detail()

    @on(Rows.RowHighlighted)
    def _show_detail(self) -> None:
        row = self.build if self._on_builds else self.patch
        if isinstance(row, BuildRow):
            text = build_text(row)
        elif row is not None:
            text = patch_text(row)
        else:
            text = None
        nothing = (
            "" if self.history.problems else self._nothing() if not self.history.builds else "There are no patches."
        )
        self.query_one("#history-text", Static).update(nothing if text is None else text)

    def _nothing(self) -> str:
        return (
            "Nothing was compiled yet: the base model is served.\n\n"
            f"Add sentences in Facts, then compile them there with {self.key('facts.compile')}. "
            f"Or press {self.key('builds.import')} to take in a patch that someone exported."
        )

    def _compile_first(self) -> str:
        return f"Compile first: {self.key('facts.compile')} in Facts."

    # What is served

    def action_use(self) -> None:
        """Serve the build under the cursor."""
        build = self.build
        if build is None:
            self.face.say("There is no build yet.", self._compile_first(), severity="warning")
        elif not self._on_builds:
            self._build_rows.focus()
            self.face.say(f"Choose the build to serve, then press {self.key('builds.use')}.")
        elif build.served:
            self.face.say(f"Build {build.number} is served already.")
        else:
            self._use(build.number)

    def action_use_base(self) -> None:
        """Serve the base model."""
        if self.history.served is None:
            self.face.say("The base model is served already.")
        else:
            self._use(None)

    def _use(self, number: int | None) -> None:
        def done(_: None) -> None:
            self.face.say(
                f"Served now: {build_name(number)}.", f"It was {build_name(before)}; the facts stay as they are."
            )
            self.face.changed()

        before = self.history.served
        self.face.perform(lambda: self.face.household.use(number, wait=False), done)

    def action_compare(self) -> None:
        """What changed between two builds."""
        from homeedit.tui.dialogs.compare import CompareDialog

        build = self.build
        if build is None:
            self.face.say("There is no build to compare yet.", self._compile_first(), severity="warning")
            return
        others = [each.number for each in self.history.builds if each.number != build.number and not each.problem]
        self.face.push_screen(CompareDialog(build.number, others))

    # Patches in, out and away

    def action_revert(self) -> None:
        """Take a patch out of the model."""
        from homeedit.tui.dialogs.confirm import Confirm

        patch = self.patch
        if patch is None:
            self.face.say("There is no patch to take out.")
            return
        if self._on_builds:
            self._patch_rows.focus()
            self.face.say(
                "Choose the patch to take out, then revert it.", "To go back to an earlier build, serve that."
            )
            return
        if not patch.on:
            self.face.say(f"Nothing of {patch.id} is switched on.", "The next compile leaves it out.")
            return
        others = sum(other.id != patch.id and bool(other.on) for other in self.history.patches)

        def revert(sure: bool | None) -> None:
            if sure:
                self.face.start_work("Revert", "revert", [patch.id])

        self.face.push_screen(Confirm(f"Revert patch {patch.id}?", _revert_words(patch, others), yes="Revert"), revert)

    def action_export(self) -> None:
        """Write a patch or build to a file."""
        from homeedit.tui.dialogs.export import ExportDialog

        row = self.build if self._on_builds else self.patch
        if row is None:
            self.face.say("There is nothing to export yet.", self._compile_first(), severity="warning")
        elif isinstance(row, BuildRow):
            self.face.push_screen(ExportDialog(self.history.model, build=row.number))
        else:
            self.face.push_screen(ExportDialog(self.history.model, patch=row))

    def action_import(self) -> None:
        """Take in a patch."""
        from pathlib import Path

        from homeedit.tui.dialogs.import_patch import FIELD, ImportPatchDialog
        from homeedit.tui.drafts import forget

        def start(chosen: tuple[Path, OnConflict] | None) -> None:
            if chosen is not None:
                file, on_conflict = chosen
                if self.face.start_work("Import", "import_patch", file, on_conflict=on_conflict):
                    forget(self.face, FIELD)

        self.face.push_screen(ImportPatchDialog(), start)

    def work_ended(self) -> None:
        work = self.face.work
        if work is not None and work.method == "import_patch" and work.error is None:
            self.face.say(
                "The patch is in.", f"The next compile ({self.key('facts.compile')} in Facts) takes it into the model."
            )

    def action_prune(self) -> None:
        """Delete older builds."""
        from homeedit.tui.dialogs.prune import PruneDialog

        def prune(keep: int | None) -> None:
            if keep is not None:
                self.face.perform(lambda: self.face.household.prune(keep, wait=False), self._pruned)

        if len(self.history.builds) < 2:
            self.face.say("There is no older build to delete.")
            return
        self.face.push_screen(PruneDialog(self.face, self.history), prune)

    def _pruned(self, numbers: list[int]) -> None:
        gone = ", ".join(map(str, numbers))
        self.face.say(f"Deleted: {counted(len(numbers), 'build')} ({gone})." if numbers else "Nothing was deleted.")
        self.face.changed()

    def action_copy(self) -> None:
        """Copy the details of the row."""
        row = self.build if self._on_builds else self.patch
        if row is not None:
            self.face.copy((build_text(row) if isinstance(row, BuildRow) else patch_text(row)).plain)


def _patch_cells(patch: PatchRow) -> tuple[str, ...]:
    first = shortened(patch.sentences[0], 200)
    facts = first if len(patch.sentences) == 1 else f"{len(patch.sentences)}: {first}"
    rank, made = str(patch.rank), day(patch.created)
    return (patch.state, facts, size(patch.bytes), rank, made, patch.id, patch.base)


def _build_cells(build: BuildRow) -> tuple[str, ...]:
    parts = ["✓ served"] if build.served else []
    parts += ["! forced"] if build.forced else []
    parts += [f"✗ {build.problem}"] if build.problem else []
    kept = "–" if build.kept is None else f"{build.kept[0]}/{build.kept[1]}"
    kl = "–" if build.kl is None else f"{build.kl:.4f}"
    return (
        str(build.number),
        " ".join(parts) or "–",
        minute(build.created),
        str(build.count),
        percent(build.recall),
        kept,
        kl,
        size(build.bytes),
    )


def _revert_words(patch: PatchRow, others: int) -> str:
    sentences = patch.on
    if others:
        what = counted(others, "other patch", "other patches")
        time = (
            f"A new build of {what} is made and checked; if one of their facts is lost by it, all facts are "
            "compiled again, which takes a compile's time."
        )
    else:
        time = "A build without any fact is made and checked; that does not take long."
    return (
        f"{counted(len(sentences), 'fact')} {'goes' if len(sentences) == 1 else 'go'} off:\n{listed(sentences)}\n\n"
        f"{time} What goes off stays in the list and can be switched on again. What is served stays until then."
    )
