"""Tags of a fact."""

import re
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Button, Input, Static

from homeedit.facts.fact import Fact


def split_tags(text: str) -> tuple[str, ...]:
    """Tags as they are typed: with blanks or commas between them."""
    return tuple(tag for tag in re.split(r"[\s,]+", text) if tag)


class TagSuggester(Suggester):
    """Completes the last tag to one that other facts have."""

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__(case_sensitive=True)
        self._known = known

    async def get_suggestion(self, value: str) -> str | None:
        """The line with its last tag completed."""
        begun = re.search(r"[^\s,]+$", value)
        if begun is None:
            return None
        for tag in self._known:
            if tag.startswith(begun[0].casefold()) and tag not in split_tags(value):
                return value[: begun.start()] + tag
        return None


class TagsDialog(ModalScreen[tuple[str, ...] | None]):
    """Gives the tags; None for Cancel."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Cancel")]

    def __init__(self, fact: Fact, known: Sequence[str]) -> None:
        super().__init__()
        self._fact, self._known = fact, known

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static("Tags, with blanks between them", classes="heading", markup=False)
            yield Static(self._fact.sentence[:300], classes="hint", markup=False)
            yield Input(
                " ".join(self._fact.tags),
                placeholder="kitchen anna",
                suggester=TagSuggester(self._known),
                select_on_focus=False,
            )
            if self._known:
                yield Static(f"In use: {' '.join(self._known)[:400]} (→ completes)", classes="hint", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Save", id="save", variant="primary")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self) -> None:
        """Enter saves."""
        self._save()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Save or leave."""
        if event.button.id == "save":
            self._save()
        else:
            self.dismiss(None)

    def action_close(self) -> None:
        """Leave them as they are."""
        self.dismiss(None)

    def _save(self) -> None:
        self.dismiss(split_tags(self.query_one(Input).value))
