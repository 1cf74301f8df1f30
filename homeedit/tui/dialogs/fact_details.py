"""Enter on a fact: all of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button

from homeedit.tui.widgets.fact_details import FactDetails
from homeedit.tui.widgets.fact_filter import KnownFact

if TYPE_CHECKING:
    from homeedit.facts.records import Revision
    from homeedit.tui.app import HomeEditApp


class FactDetailsDialog(ModalScreen[str | None]):
    """A text to read; gives "edit" when that is what the person goes on to."""

    DEFAULT_CSS = """
    FactDetailsDialog FactDetails { max-height: 70vh; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Close"),
        Binding("e", "edit", "Edit"),
        Binding("y", "copy", "Copy the sentence"),
    ]

    def __init__(self, known: KnownFact, revisions: Sequence["Revision"]) -> None:
        super().__init__()
        self._known, self._revisions = known, revisions

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield FactDetails(self._known, self._revisions)
            with Horizontal(classes="buttons"):
                yield Button("Copy (y)", id="copy", compact=True)
                yield Button("Edit (e)", id="edit", compact=True)
                yield Button("Close (Escape)", id="close", compact=True)

    def on_mount(self) -> None:
        self.query_one(FactDetails).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A button does what its key does."""
        getattr(self, f"action_{event.button.id}")()

    def action_close(self) -> None:
        """Back to the list."""
        self.dismiss(None)

    def action_edit(self) -> None:
        """Go on to change it."""
        self.dismiss("edit")

    def action_copy(self) -> None:
        """Copy the sentence."""
        cast("HomeEditApp", self.app).copy(self._known.fact.sentence)
