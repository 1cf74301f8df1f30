"""One of a few things, from a list."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option


class Pick(ModalScreen[str | None]):
    """Gives the value of the chosen line; None for Escape."""

    DEFAULT_CSS = """
    Pick OptionList { height: auto; max-height: 14; margin-top: 1; border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Cancel")]

    def __init__(self, question: str, lines: Sequence[tuple[str, str]], current: str) -> None:
        super().__init__()
        self._question, self._lines, self._current = question, lines, current

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self._question, markup=False, classes="heading")
            yield OptionList(*(Option(Text(title)) for _, title in self._lines))

    def on_mount(self) -> None:
        options = self.query_one(OptionList)
        values = [value for value, _ in self._lines]
        options.highlighted = values.index(self._current) if self._current in values else 0
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """This one."""
        self.dismiss(self._lines[event.option_index][0])

    def action_close(self) -> None:
        """Leave it as it is."""
        self.dismiss(None)
