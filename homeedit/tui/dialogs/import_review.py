"""What many lines would become, looked over before anything is stored."""

from collections.abc import Sequence
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.coordinate import Coordinate
from textual.screen import ModalScreen
from textual.widgets import Button, DataTable, Static

from homeedit.tui.importing import Decision, ReviewedLine
from homeedit.tui.widgets.fact_words import listing, some_questions
from homeedit.tui.widgets.facts_table import cell
from homeedit.tui.words import plain

_WIDTHS = {"line": 6, "state": 22}


class ImportReview(ModalScreen[bool]):
    """Changes the lines' decisions in place; gives whether to store."""

    DEFAULT_CSS = """
    ImportReview DataTable { height: 1fr; background: $surface; margin-top: 1; }
    ImportReview .detail { height: 5; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Back"),
        Binding("space", "take_or_leave", "Take or leave"),
        Binding("r", "decide('replace')", "Replace"),
        Binding("k", "decide('keep')", "Keep both"),
        Binding("s,ctrl+s", "store", "Store"),
    ]

    def __init__(self, reviewed: Sequence[ReviewedLine]) -> None:
        super().__init__()
        self._lines = list(reviewed)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static("Look it over; nothing is stored yet", classes="heading", markup=False)
            yield Static(self._counts(), id="counts", markup=False)
            yield DataTable[Text](cursor_type="row", cell_padding=0)
            yield Static("", classes="detail", markup=False)
            yield Static(
                "space takes or leaves a line · r replaces the known fact · k keeps both · s stores · Escape goes back",
                classes="hint",
                markup=False,
            )
            with Horizontal(classes="buttons"):
                yield Button("Back", id="back")
                yield Button("", id="store", variant="primary")

    def on_mount(self) -> None:
        table = self._table
        width = self.size.width - sum(_WIDTHS.values()) - 10
        table.add_column("Line", key="line", width=_WIDTHS["line"])
        table.add_column("What becomes of it", key="state", width=_WIDTHS["state"])
        table.add_column("Sentence", key="sentence", width=max(20, width))
        for reviewed in self._lines:
            table.add_row(cell(str(reviewed.line)), cell(_state(reviewed)), cell(plain(reviewed.text)))
        table.focus()
        self._count()

    @property
    def _table(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    @property
    def _current(self) -> ReviewedLine | None:
        row = self._table.cursor_row
        return self._lines[row] if 0 <= row < len(self._lines) else None

    def on_data_table_row_highlighted(self) -> None:
        """Show the line under the cursor."""
        self.query_one(".detail", Static).update(_detail(self._current))

    def on_data_table_row_selected(self) -> None:
        """Enter or a click on the row that has the cursor."""
        self.action_take_or_leave()

    def action_take_or_leave(self) -> None:
        """Take or leave the line. One that says otherwise goes round: leave, replace, keep both."""
        line = self._current
        if line is None or line.kind == "problem":
            self.app.bell()
            return
        after: dict[Decision, Decision] = {"leave": "take", "take": "leave"}
        if line.kind == "conflict":
            after = {"leave": "replace" if line.replaces else "keep", "replace": "keep", "keep": "leave"}
        self._set(line, after[line.decision])

    def action_decide(self, decision: Decision) -> None:
        """Replace the known fact, or keep both."""
        line = self._current
        if line is None or line.kind != "conflict" or (decision == "replace" and not line.replaces):
            self.app.bell()
            return
        self._set(line, decision)

    def _set(self, line: ReviewedLine, decision: Decision) -> None:
        line.decision = decision
        self._table.update_cell_at(Coordinate(self._table.cursor_row, 1), cell(_state(line)))
        self.query_one(".detail", Static).update(_detail(line))
        self._count()

    def _count(self) -> None:
        self.query_one("#counts", Static).update(self._counts())
        button = self.query_one("#store", Button)
        count = sum(line.stored for line in self._lines)
        button.label = f"Store {count} (s)"
        button.disabled = count == 0

    def _counts(self) -> str:
        def count(kind: str) -> int:
            return sum(line.kind == kind for line in self._lines)

        open_ones = sum(line.kind == "conflict" and not line.stored for line in self._lines)
        parts = [f"{count('new')} new"]
        parts += [f"{count('conflict')} say otherwise than a known fact"] if count("conflict") else []
        parts += [f"{open_ones} of them left out until you choose"] if open_ones else []
        parts += [f"{count('problem')} cannot be stored"] if count("problem") else []
        return " · ".join(parts)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Store or go back."""
        if event.button.id == "store":
            self.action_store()
        else:
            self.dismiss(False)

    def action_store(self) -> None:
        """Store what was taken."""
        if any(line.stored for line in self._lines):
            self.dismiss(True)
        else:
            self.app.bell()

    def action_close(self) -> None:
        """Back to the text."""
        self.dismiss(False)


def _state(line: ReviewedLine) -> str:
    """What becomes of a line, in a symbol and words."""
    if line.kind == "problem":
        return "✗ problem"
    if line.kind == "new":
        return "✓ new" if line.stored else "– left out"
    if line.decision == "replace":
        return f"✓ replaces {line.replaces}"
    return "✓ kept beside" if line.decision == "keep" else "? says otherwise"


def _detail(line: ReviewedLine | None) -> Group:
    if line is None:
        return Group()
    parts: list[RenderableType] = [Text(plain(line.text), style="bold", no_wrap=True, overflow="ellipsis")]
    parts += [Text(line.reason)] if line.reason else []
    if line.fact is not None:
        questions = some_questions(line.fact.questions)
        parts.append(listing(("Learns", f"{line.fact.prompt} → {line.fact.target}"), ("Questions", questions)))
    return Group(*parts)
