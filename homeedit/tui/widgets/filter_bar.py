"""How many facts are shown, which filter is set, and the search line."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from homeedit.tui.widgets.fact_filter import FactFilter

_QUIET_SECONDS = 0.08


class SearchInput(Input):
    """Down and Enter lead to the list."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down,enter", "submit", show=False)]


class FilterBar(Horizontal):
    """One line above the list."""

    DEFAULT_CSS = """
    FilterBar {
        height: 1;
        & > .slash, & > SearchInput { display: none; }
        &.-searching > .slash, &.-searching > SearchInput { display: block; }
        & > .slash { width: 2; color: $text-muted; }
        & > SearchInput { width: 1fr; max-width: 40; background: $boost; margin-right: 2; }
        & > SearchInput:focus { background: $primary 20%; }
        & > .counted { width: 1fr; }
    }
    """

    class Searched(Message):
        """Other words are searched."""

    class Left(Message):
        """On to the list."""

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Static("/", classes="slash", markup=False)
        yield SearchInput(id="search", compact=True, placeholder="words to find")
        yield Static("", classes="counted", markup=False)

    @property
    def text(self) -> str:
        """The words that are searched."""
        return self.query_one(SearchInput).value

    def open(self) -> None:
        """Show the search line and go there."""
        self.add_class("-searching")
        self.query_one(SearchInput).focus()

    def close(self) -> None:
        """Forget the words, hide the line."""
        self.query_one(SearchInput).value = ""
        self.remove_class("-searching")

    def show(self, shown: int, total: int, waiting: int, chosen: FactFilter, key: Callable[[str], str]) -> None:
        """Say how many are shown of how many, why, and how many wait to be compiled. ``key`` gives an action's key."""
        line = Text(no_wrap=True, overflow="ellipsis")
        facts = "fact" if total == 1 else "facts"
        line.append(f"{shown} of {total}" if chosen else f"{total} {facts}", style="bold")
        if chosen:
            line.append(f"  {chosen.words()}  ({key('facts.clear')} shows all)")
        elif waiting:
            line.append(f" · {waiting} to compile ({key('facts.compile')})")
        self.query_one(".counted", Static).update(line)

    @on(Input.Changed, "#search")
    def _search_soon(self, event: Input.Changed) -> None:
        event.stop()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_QUIET_SECONDS, lambda: self.post_message(self.Searched()))

    @on(Input.Submitted, "#search")
    def _leave(self, event: Input.Submitted) -> None:
        event.stop()
        if not self.text.strip():
            self.close()
        self.post_message(self.Left())
