"""A question with two or three answers; the safe one has the focus."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class Choice(ModalScreen[str | None]):
    """Buttons beside Cancel, which has the focus; gives the id of the chosen one, None for Cancel and Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, detail: str, choices: Sequence[tuple[str, str]], dangerous: str = "") -> None:
        super().__init__()
        self._question, self._detail, self._choices, self._dangerous = question, detail, choices, dangerous

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self._question, markup=False, classes="heading")
            yield Static(self._detail, markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                for name, title in self._choices:
                    yield Button(title, id=name, variant="error" if name == self._dangerous else "default")

    def on_mount(self) -> None:
        self.query_one("#cancel").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Give the answer."""
        self.dismiss(None if event.button.id == "cancel" else event.button.id)


class Confirm(ModalScreen[bool]):
    """Yes or Cancel, which has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "no", "Cancel"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, detail: str = "", *, yes: str) -> None:
        super().__init__()
        self._question, self._detail, self._yes = question, detail, yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self._question, markup=False, classes="heading")
            yield Static(self._detail, markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button(self._yes, id="yes", variant="error")

    def on_mount(self) -> None:
        self.query_one("#cancel").focus()

    def action_no(self) -> None:
        """Leave it."""
        self.dismiss(False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Give the answer."""
        self.dismiss(event.button.id == "yes")
