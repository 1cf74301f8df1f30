"""F1: every key and what it does, from the list of actions."""

from typing import TYPE_CHECKING, ClassVar, cast

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from homeedit.tui.actions import EVERYWHERE, PANES, actions_of

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp


class HelpDialog(ModalScreen[None]):
    """The keys of the pane that is shown first, then of everywhere, then of the others."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss", "Close")]

    def __init__(self, current: str) -> None:
        super().__init__()
        self._current = current

    def compose(self) -> ComposeResult:
        others = [pane for pane in PANES if pane != self._current]
        with Vertical(classes="dialog -wide"):
            yield Static("Keys (Escape closes; they can be changed under [keys] in homeedit.toml)", markup=False)
            with VerticalScroll():
                for where in (self._current, EVERYWHERE, *others):
                    yield Static(PANES.get(where, "Everywhere"), classes="heading", markup=False)
                    yield Static(self._table(where))

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def _table(self, where: str) -> Table:
        key_of = cast("HomeEditApp", self.app).key_of
        table = Table.grid(padding=(0, 2))
        for action in actions_of(where):
            table.add_row(key_of(action.id), action.title, action.help, action.id)
        return table
