"""A text that can be taken along: focus it and copy."""

from textual.widgets import Static


class Copyable(Static, can_focus=True):
    """A titled text; ``text`` is what is copied of it."""

    DEFAULT_CSS = """
    Copyable { height: auto; border-top: solid $panel-lighten-2; border-title-color: $text-muted; margin-bottom: 1; }
    Copyable:focus { border-top: heavy $accent; border-title-color: $text; border-title-style: bold; }
    """

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)
        self.border_title = title
        self.text = ""

    def show(self, text: str) -> None:
        """Show a text."""
        if text != self.text:
            self.text = text
            self.update(text)
