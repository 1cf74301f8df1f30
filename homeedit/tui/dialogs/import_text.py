"""Pasting many sentences, or naming a file of them."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static, TextArea

from homeedit.errors import HomeEditError
from homeedit.tui.drafts import Draft
from homeedit.tui.importing import Given, lines_of, read_lines
from homeedit.tui.widgets.paths import PathSuggester, written_path

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp

_EXPLAINED = (
    "One sentence a line; or JSON lines, or CSV with a column sentence (subject, prompt, target, question, tags). "
    "Nothing is stored before you have looked it over."
)


class ImportText(ModalScreen[Given | None]):
    """Gives the lines to review; None for Cancel. The text stays kept until it is stored."""

    DEFAULT_CSS = """
    ImportText TextArea { height: 27vh; margin-top: 1; }
    ImportText .file { height: 3; }
    ImportText .file Static { width: auto; padding: 1 1 0 0; }
    ImportText .file Input { width: 1fr; }
    ImportText .wrong { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Cancel"),
        Binding("ctrl+s", "review", "Review"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self._draft = Draft(self, "import")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Static("Paste or import", classes="heading", markup=False)
            yield Static(_EXPLAINED, classes="hint", markup=False)
            yield TextArea(self._text, show_line_numbers=True, tab_behavior="focus")
            with Horizontal(classes="file"):
                yield Static("or a file", markup=False)
                yield Input(placeholder="~/facts.txt  (→ completes)", suggester=PathSuggester())
            yield Static("", classes="wrong", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Review (ctrl+s)", id="review", variant="primary")

    def on_mount(self) -> None:
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)

    def on_unmount(self) -> None:
        """What was typed last is not lost."""
        self._draft.flush()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Keep what is typed."""
        self._draft.keep(event.text_area.text)

    def on_input_submitted(self) -> None:
        """Enter behind the name of a file."""
        self.action_review()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Review or leave."""
        if event.button.id == "review":
            self.action_review()
        else:
            self.action_close()

    def action_close(self) -> None:
        """Leave; the text is there again the next time."""
        self.dismiss(None)

    def action_review(self) -> None:
        """Go on to the review with the file, if one is named, else with the text."""
        file = self.query_one(Input).value.strip()
        if file:
            face = cast("HomeEditApp", self.app)
            face.perform(lambda: read_lines(written_path(file)), self._give_file, self._refuse)
            return
        lines = lines_of(self.query_one(TextArea).text)
        if any(line.strip() for line in lines):
            self.dismiss(Given(lines))
        else:
            self._refuse(HomeEditError("There is nothing to review yet.", "Paste sentences, or name a file."))

    def _give_file(self, lines: list[str]) -> None:
        self.dismiss(Given(lines, of_file=True))

    def _refuse(self, error: HomeEditError) -> None:
        self.query_one(".wrong", Static).update(f"{error.message} {error.hint}")
