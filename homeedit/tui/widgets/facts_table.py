"""The list of facts: one row each, the cursor stays on its fact whatever happens around it."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from homeedit.tui.widgets.fact_filter import KnownFact
from homeedit.tui.widgets.fact_words import recall_words, short_date, state_words

COLUMNS = {"state": "State", "sentence": "Sentence", "tags": "Tags", "recall": "Recall", "changed": "Changed"}
_WIDTHS = {"state": 12, "recall": 9, "changed": 11}
_NARROW = 90
_TAGS_WIDTHS = (13, 24)
_SCROLLBAR = 2


class Cell(Text):
    """One line of text in a column whose width is set: cut with an ellipsis, one blank before the next column.

    Its own width is not asked for, which saves measuring every cell whenever the list is filled.
    """

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        yield from super().__rich_console__(console, options.update(width=max(1, options.max_width - 1)))


def cell(text: str, style: Style | str = "") -> Cell:
    """A cell of this text, which is never read as markup."""
    return Cell(text, style=style, no_wrap=True, overflow="ellipsis", end="")


class FactsTable(DataTable[Text]):
    """Facts, a row each. Columns fit the width; clicks on their headers are left to the pane."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "facts-table--live",
        "facts-table--failed",
        "facts-table--disabled",
    }
    DEFAULT_CSS = """
    FactsTable {
        height: 1fr;
        background: $background;
        & > .facts-table--live { color: $text-success; }
        & > .facts-table--failed { color: $text-error; text-style: bold; }
        & > .facts-table--disabled { text-style: italic; }
    }
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(cursor_type="row", cell_padding=0, **options)
        self._shown: list[KnownFact] = []
        self._cells: list[tuple[str, ...]] = []
        self._layout: tuple[object, ...] = ()
        self._order = ("", False)

    @property
    def facts(self) -> list[KnownFact]:
        """What is shown, from top to bottom."""
        return self._shown

    @property
    def current(self) -> KnownFact | None:
        """The fact under the cursor."""
        row = self.cursor_row
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def show(self, facts: Sequence[KnownFact], order: tuple[str, bool] = ("", False), *, go_to: str = "") -> None:
        """Show facts in this order; ``order`` names the column for its header. The cursor goes to ``go_to``,
        else it stays on its fact, else in its row."""
        self._order = order
        at = self.current
        before, row = [known.fact.id for known in self._shown], self.cursor_row
        self._shown = list(facts)
        if [known.fact.id for known in facts] == before and self._layout == self._wanted_layout():
            self._change_cells()
        else:
            self._fill()
        wanted = go_to or (at.fact.id if at else "")
        index = next((number for number, known in enumerate(facts) if known.fact.id == wanted), row)
        if facts:
            self.move_cursor(row=min(index, len(facts) - 1))

    def on_resize(self, event: events.Resize) -> None:
        """Columns follow the width."""
        if self._layout and self._layout != self._wanted_layout():
            self.show(self._shown, self._order)

    def notify_style_update(self) -> None:
        """Another theme: the styles are in the cells."""
        super().notify_style_update()
        if self._layout:
            self._layout = ("styles changed",)
            self.call_later(lambda: self.show(self._shown, self._order))

    def _wanted_layout(self) -> tuple[object, ...]:
        """Everything that the columns depend on."""
        longest = max((len(", ".join(known.fact.tags)) for known in self._shown), default=0)
        most = _TAGS_WIDTHS[self.size.width >= _NARROW]
        return (self.size.width, min(most, max(longest + 1, 6)) if longest else 0, self._order)

    def _fill(self) -> None:
        """Rows and columns anew."""
        scrolled = self.scroll_y
        self._layout = self._wanted_layout()
        tags = int(str(self._layout[1]))
        widths = _WIDTHS | {"tags": tags}
        rest = self.size.width - sum(widths.values()) - _SCROLLBAR
        self.clear(columns=True)
        for column, title in COLUMNS.items():
            if column != "tags" or tags:
                self.add_column(self._header(column, title), key=column, width=widths.get(column, max(12, rest)))
        self._cells = [_texts(known) for known in self._shown]
        for known, texts in zip(self._shown, self._cells, strict=True):
            cells = self._styled(known, texts)
            self.add_row(*(cells[str(column.value)] for column in self.columns), key=known.fact.id)
        self.scroll_to(y=scrolled, animate=False)

    def _header(self, column: str, title: str) -> Text:
        by, reverse = self._order
        return Text(f"{title} {'↓' if reverse else '↑'}" if column == by else title)

    def _change_cells(self) -> None:
        """The same rows: only what differs is drawn again."""
        for row, known in enumerate(self._shown):
            texts = _texts(known)
            if texts == self._cells[row]:
                continue
            self._cells[row] = texts
            cells = self._styled(known, texts)
            for index, column in enumerate(self.columns):
                self.update_cell_at(Coordinate(row, index), cells[str(column.value)])

    def _styled(self, known: KnownFact, texts: tuple[str, ...]) -> dict[str, Cell]:
        """The cells of a row, by column. Colour repeats what the words say."""
        state = known.state
        words = self._style(state) if state in ("live", "failed", "disabled") else Style.null()
        muted = Style(dim=True)
        off = self._style("disabled") if state == "disabled" else Style.null()
        styles = {"state": words, "sentence": off, "tags": muted, "recall": words, "changed": muted}
        return {column: cell(text, styles[column]) for column, text in zip(COLUMNS, texts, strict=True)}

    def _style(self, name: str) -> Style:
        # Only the foreground: the row's own background shows where the cursor is.
        style = self.get_component_rich_style(f"facts-table--{name}", partial=True)
        return Style(color=None if name == "disabled" else style.color, bold=style.bold, italic=style.italic)


def _texts(known: KnownFact) -> tuple[str, ...]:
    fact = known.fact
    return (
        state_words(known.state),
        fact.sentence,
        ", ".join(fact.tags),
        recall_words(known.result),
        short_date(fact.changed),
    )
