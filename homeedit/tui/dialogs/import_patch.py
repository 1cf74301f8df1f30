"""A patch from elsewhere: checked and shown before it is taken in."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, RadioButton, RadioSet, Static

from homeedit.errors import HomeEditError
from homeedit.facts.fact import ParsedFact
from homeedit.household import Household, OnConflict
from homeedit.tui.drafts import Draft
from homeedit.tui.widgets.paths import PathSuggester, written_path
from homeedit.tui.words import counted, minute, plain, size

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp

FIELD = "builds.import"
"""The input's name among what is typed and not used yet."""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A patch that passed its checks, in words, and the known facts that it contradicts."""

    file: Path
    text: str
    contradicted: tuple[str, ...]


class ImportPatchDialog(ModalScreen[tuple[Path, OnConflict] | None]):
    """Gives the file and what to do with known facts that it contradicts; None when it is left."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]
    DEFAULT_CSS = """
    ImportPatchDialog Input { margin-top: 1; }
    ImportPatchDialog VerticalScroll { height: auto; max-height: 33vh; scrollbar-size-vertical: 1; }
    ImportPatchDialog #looked { height: auto; }
    ImportPatchDialog.-conflict VerticalScroll { max-height: 25vh; }
    ImportPatchDialog RadioSet { width: 1fr; display: none; margin-top: 1; }
    ImportPatchDialog.-conflict RadioSet { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._looked: LookedAt | None = None
        self._draft = Draft(self, FIELD)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Static("Take in a patch that was exported as homeedit", markup=False, classes="heading")
            yield Input(placeholder="path of a .safetensors file", suggester=PathSuggester(".safetensors"), id="path")
            yield Static("→ completes a path, Enter checks the file and shows it.", markup=False, classes="hint")
            with VerticalScroll(can_focus=True):
                yield Static("", id="looked", markup=False)
            with RadioSet(compact=True, id="conflict"):
                yield RadioButton("Change the known facts to what the patch says", value=True)
                yield RadioButton("Keep both")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Check", id="check")
                yield Button("Import", id="import", variant="primary", disabled=True)

    def on_mount(self) -> None:
        path = self.query_one(Input)
        path.focus()
        self.face.perform(lambda: self.face.drafts.kept().get(FIELD, ""), self._restore, lambda _: None)

    def on_unmount(self) -> None:
        """What was typed last is not lost."""
        self._draft.flush()

    @property
    def face(self) -> "HomeEditApp":
        """The app, by its own type."""
        return cast("HomeEditApp", self.app)

    def _restore(self, text: str) -> None:
        path = self.query_one(Input)
        if text and not path.value:
            path.value = text
            path.select_all()

    @on(Input.Changed)
    def _forget(self) -> None:
        """What was looked at is not this file any more."""
        self._show(None)
        self._draft.keep(self.query_one(Input).value)

    @on(Input.Submitted)
    def _look(self) -> None:
        if not self.query_one(Input).value.strip():
            return
        file = written_path(self.query_one(Input).value)
        self.query_one("#looked", Static).update("Checking …")
        self.face.perform(lambda: look_at(self.face.household, file), self._show, self._show_problem)

    def _show(self, looked: LookedAt | None) -> None:
        self._looked = looked
        text = self.query_one("#looked", Static)
        text.set_class(False, "bad")
        text.update(looked.text if looked else "")
        self.query_one("#import", Button).disabled = looked is None
        self.set_class(looked is not None and bool(looked.contradicted), "-conflict")
        if looked is not None:
            self.query_one("#cancel").focus()

    def _show_problem(self, error: HomeEditError) -> None:
        self._show(None)
        text = self.query_one("#looked", Static)
        text.set_class(True, "bad")
        text.update(f"✗ {error.message} {error.hint}".strip())
        self.query_one(Input).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Check, take in, or leave it."""
        if event.button.id == "check":
            self._look()
        elif event.button.id == "import" and self._looked is not None:
            choices: tuple[OnConflict, OnConflict] = ("replace", "keep")
            chosen = choices[max(0, self.query_one(RadioSet).pressed_index)]
            # The path stays kept: whether the import begins is known to who started this.
            self.dismiss((self._looked.file, chosen if self._looked.contradicted else "refuse"))
        elif event.button.id == "cancel":
            self.dismiss(None)


def look_at(household: Household, file: Path) -> LookedAt:
    """Check a patch completely and say what it holds; nothing is stored."""
    patch = household.inspect_patch(file)
    lines = [f"{counted(len(patch.facts), 'fact')}:"]
    contradicted: list[str] = []
    for held in patch.facts:
        parsed = ParsedFact(held.sentence, held.subject, held.prompt, held.target, held.questions, held.relation)
        against = household.conflicts(parsed)
        lines.append(f"  • {plain(held.sentence)}")
        if against.duplicate is not None:
            lines.append(f"    already known as {against.duplicate.id}")
        for fact in against.contradicted:
            contradicted.append(fact.id)
            lines.append(f"    ! contradicts {fact.id}: {plain(fact.sentence)}")
    lines += [
        f"Base {patch.base}, {size(patch.bytes)}, rank {patch.rank}, made {minute(patch.created)}",
        "✓ checked: made for this base model; names, shapes and numbers are in order, the change is not too large.",
        "Nothing is stored yet. Once imported, the next compile takes it into the model.",
    ]
    return LookedAt(file, "\n".join(lines), tuple(contradicted))
