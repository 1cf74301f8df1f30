"""What changed between two builds, from what was written down of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Select, Static

from homeedit.errors import HomeEditError
from homeedit.household.results import BuildChange
from homeedit.tui.history_words import change_text
from homeedit.tui.words import build_name

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp

_BASE = 0
"""The base model among the choices; builds are numbered from 1."""


class CompareDialog(ModalScreen[None]):
    """A build against the one before it, or another that is chosen at the top."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close"),
        Binding("y", "copy", "Copy"),
    ]
    DEFAULT_CSS = """
    CompareDialog Horizontal { height: auto; }
    CompareDialog Horizontal Static { width: auto; padding: 0 1 0 0; }
    CompareDialog Select { width: 30; }
    CompareDialog VerticalScroll { height: 1fr; margin-top: 1; scrollbar-size-vertical: 1; }
    """

    def __init__(self, newer: int, others: Sequence[int]) -> None:
        super().__init__()
        self._newer = newer
        self._others = sorted(others, reverse=True)
        self._text = ""

    def compose(self) -> ComposeResult:
        before = max((number for number in self._others if number < self._newer), default=_BASE)
        choices = [(build_name(number).capitalize(), number) for number in self._others] + [("Base model", _BASE)]
        with Vertical(classes="dialog -wide"):
            with Horizontal():
                yield Static(f"Build {self._newer} compared with", markup=False)
                yield Select(choices, value=before, allow_blank=False, compact=True, id="older")
            with VerticalScroll():
                yield Static("", id="change", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Close", id="close")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    @on(Select.Changed)
    def _load(self, event: Select.Changed) -> None:
        chosen = event.value if isinstance(event.value, int) else _BASE
        # The higher number is the newer one, whichever of the two it is.
        older, newer = sorted((chosen, self._newer))
        face = cast("HomeEditApp", self.app)
        face.perform(lambda: face.household.compare(older or None, newer), self._show, self._show_error, owner=self)

    def _show(self, change: BuildChange) -> None:
        text = change_text(change)
        self._text = text.plain
        self.query_one("#change", Static).update(text)
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def _show_error(self, error: HomeEditError) -> None:
        self._text = f"✗ {error.message}\n{error.hint}"
        self.query_one("#change", Static).update(self._text)

    def action_copy(self) -> None:
        """Copy what is shown."""
        cast("HomeEditApp", self.app).copy(self._text)

    def on_button_pressed(self) -> None:
        """Close."""
        self.dismiss()
