"""A table of whole rows that fits its width and keeps its place when it is loaded again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from homeedit.tui.words import plain

_PADDING = 2
"""Cells that a column takes beside its text."""
_SCROLLBAR = 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a width in cells; 0 takes what the others leave, but at least ``least``.

    One that is ``spare`` is left out, the last first, where the table is too narrow for all.
    """

    title: str
    width: int = 0
    least: int = 0
    spare: bool = False


class Rows(DataTable[Text], inherit_bindings=False):
    """A table with a cursor on one row. Enter and a click choose nothing by themselves: a pane's actions do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "cursor_up", "Up", show=False),
        Binding("down", "cursor_down", "Down", show=False),
        Binding("left", "cursor_left", "Left", show=False),
        Binding("right", "cursor_right", "Right", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("home,ctrl+home", "scroll_top", "First", show=False),
        Binding("end,ctrl+end", "scroll_bottom", "Last", show=False),
    ]
    DEFAULT_CSS = """
    Rows {
        height: 1fr;
        border-top: solid $panel-lighten-2;
        border-title-color: $text-muted;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 1;
        background: $background;
    }
    Rows:focus {
        border-top: heavy $accent;
        border-title-color: $text;
        border-title-style: bold;
        background-tint: transparent;
    }
    """

    def __init__(self, columns: Sequence[Column], *, id: str | None = None, title: str = "") -> None:
        """``title`` stands in the border; Textual reads it as markup, so it must be words of ours."""
        super().__init__(id=id, cursor_type="row", zebra_stripes=False)
        self.border_title = title
        self._specified = tuple(columns)
        self._held: list[tuple[str, tuple[str, ...]]] = []
        self._shown_width = 0

    @property
    def current(self) -> str | None:
        """The key of the row under the cursor; None in an empty table."""
        return self._held[self.cursor_row][0] if 0 <= self.cursor_row < len(self._held) else None

    def show(self, rows: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Show these rows (key and cells); the cursor stays on the row with the same key, else at its height."""
        content = [(key, tuple(cells)) for key, cells in rows]
        if content != self._held or not self.columns:
            self._rebuild(content)

    def choose(self, key: str) -> None:
        """Put the cursor on a row."""
        position = next((at for at, (each, _) in enumerate(self._held) if each == key), None)
        if position is not None:
            self.move_cursor(row=position)

    def on_resize(self, event: events.Resize) -> None:
        """Give the columns the new width."""
        if self.size.width != self._shown_width:
            self._rebuild(self._held)

    def _rebuild(self, content: list[tuple[str, tuple[str, ...]]]) -> None:
        key, position, scrolled = self.current, self.cursor_row, self.scroll_y
        self._held, self._shown_width = content, self.size.width
        fitted = self._fitted()
        self.clear(columns=True)
        for at, width in fitted:
            self.add_column(Text(self._specified[at].title), width=width)
        for name, cells in content:
            shown = (Text(plain(cells[at]), no_wrap=True, overflow="ellipsis") for at, _ in fitted)
            self.add_row(*shown, key=name)
        keys = [name for name, _ in content]
        row = keys.index(key) if key in keys else min(position, len(keys) - 1)
        if row > 0:
            self.move_cursor(row=row, animate=False)
            self.scroll_to(y=scrolled, animate=False)

    def _fitted(self) -> list[tuple[int, int]]:
        """Which columns are shown, and how wide each is."""
        room = max(self.size.width - _SCROLLBAR, 20)
        shown = list(range(len(self._specified)))
        while True:
            fixed = sum(self._specified[at].width + _PADDING for at in shown)
            left = room - fixed
            needed = sum(self._specified[at].least for at in shown)
            spare = [at for at in shown if self._specified[at].spare]
            if left >= needed or not spare:
                break
            shown.remove(spare[-1])
        flexible = [at for at in shown if not self._specified[at].width]
        share = max(left // len(flexible) if flexible else 0, 4)
        return [
            (at, self._specified[at].width or max(share, min(self._specified[at].least, room - _PADDING)))
            for at in shown
        ]
