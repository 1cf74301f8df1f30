"""F8: what happened, and the end of the home's log file."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from homeedit.tui.logging import tail
from homeedit.tui.words import plain

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp


class LogDialog(ModalScreen[None]):
    """A text to read and to copy from."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f8,q", "dismiss", "Close"),
        Binding("y", "copy", "Copy all"),
    ]

    def compose(self) -> ComposeResult:
        app = cast("HomeEditApp", self.app)
        work = app.work.lines if app.work else []
        text = ["Since the app was started:", *app.journal]
        text += ["", f"{app.work.title}:", *work] if app.work else []
        text += ["", f"The end of {app.household.home.log_file}:", *(tail(app.household.home) or ["(empty)"])]
        with Vertical(classes="dialog -wide"):
            yield Static("Log (Escape closes, y copies all)", markup=False)
            yield TextArea("\n".join(plain(line) for line in text), read_only=True, show_line_numbers=False)

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)

    def action_copy(self) -> None:
        """Copy everything."""
        cast("HomeEditApp", self.app).copy(self.query_one(TextArea).text)
