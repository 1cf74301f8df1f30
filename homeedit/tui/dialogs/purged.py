"""After a fact was deleted everywhere: what the model answers now."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from homeedit.facts.fact import Fact
from homeedit.household.results import BuildResult
from homeedit.tui.words import plain, purge_words


class PurgedDialog(ModalScreen[None]):
    """The proof: the fact's questions, asked of what is served now."""

    DEFAULT_CSS = """
    PurgedDialog VerticalScroll { height: auto; max-height: 50vh; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "close", "Close")]

    def __init__(self, fact: Fact, result: BuildResult | None) -> None:
        super().__init__()
        self._fact, self._result = fact, result

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Static("Deleted everywhere", classes="heading", markup=False)
            yield Static(self._fact.sentence, markup=False)
            with VerticalScroll():
                yield Static(proof(self._result), markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Close", id="close")

    def on_mount(self) -> None:
        self.query_one(Button).focus()

    def on_button_pressed(self) -> None:
        """Read."""
        self.dismiss()

    def action_close(self) -> None:
        """Read."""
        self.dismiss()


def proof(result: BuildResult | None) -> Text:
    """What is answered now, and what that means."""
    if result is None or not result.gone:
        return Text(
            "It was in no model that is served, so there was nothing to ask. Its words, patches and builds are "
            "gone from this home; files that were exported before are not."
        )
    asked = [each for gone in result.gone for each in gone.asked]
    known = sum(each.right for each in asked)
    lines = [Text(purge_words(known, len(asked)), style="bold")]
    for each in asked:
        lines.append(Text(f"{'!' if each.right else '✓'} {each.question}"))
        lines.append(
            Text(f"    {'still right' if each.right else 'not recalled'}: {plain(each.answer)}", style="italic")
        )
    lines.append(Text("Files that were exported before are not found by this."))
    return Text("\n").join(lines)
