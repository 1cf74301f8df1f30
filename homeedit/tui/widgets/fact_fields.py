"""Subject, prompt, answer and questions of a sentence: the guess, until a person says otherwise."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, TextArea

from homeedit.facts.fact import Fact, ParsedFact
from homeedit.tui.understanding import Explicit

_TITLES = {"subject": "Subject", "prompt": "Prompt", "target": "Answer"}
_EDITED = " ✎"


class FactFields(Vertical):
    """A small form. What was not touched follows the guess; a field that is emptied goes back to it."""

    DEFAULT_CSS = """
    FactFields {
        height: auto;
        & > Horizontal { height: 1; }
        & > Horizontal.-questions { height: 5; }
        & Label { width: 13; color: $text-muted; }
        & Label.-edited { color: $text; text-style: bold; }
        & Input { width: 1fr; background: $boost; }
        & TextArea { width: 1fr; height: 5; background: $boost; padding: 0; }
        & Input:focus, & TextArea:focus { background: $primary 20%; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    class Changed(Message):
        """A person changed a field."""

    class Accepted(Message):
        """Enter in one of the lines."""

    def __init__(self) -> None:
        super().__init__()
        self._edited: set[str] = set()
        self._guess: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        for name, title in _TITLES.items():
            with Horizontal():
                yield Label(title, id=f"label-{name}")
                yield Input(id=f"field-{name}", compact=True, select_on_focus=False)
        with Horizontal(classes="-questions"):
            yield Label("Questions", id="label-questions")
            yield TextArea(id="field-questions", compact=True, show_line_numbers=False, tab_behavior="focus")

    @property
    def explicit(self) -> Explicit:
        """What a person spelled out."""
        said = Explicit()
        if "subject" in self._edited:
            said["subject"] = self._text("subject")
        if "prompt" in self._edited:
            said["prompt"] = self._text("prompt")
        if "target" in self._edited:
            said["target"] = self._text("target")
        if "questions" in self._edited:
            lines = self.query_one(TextArea).text.splitlines()
            said["questions"] = tuple(line.strip() for line in lines if line.strip())
        return said

    def show(self, guess: ParsedFact | Fact | None) -> None:
        """Show what was understood in every field that was not touched."""
        if guess is None:
            return
        for name in _TITLES:
            self._guess[name] = getattr(guess, name)
            self._fill(name, self._guess[name])
        self._guess["questions"] = "\n".join(guess.questions)
        self._fill("questions", self._guess["questions"])

    def spell_out(self, explicit: Explicit) -> None:
        """Fill fields in as if a person had."""
        for name, value in explicit.items():
            text = value if isinstance(value, str) else "\n".join(value)  # type: ignore[arg-type]
            self._put(name, text)
            self._mark(name, True)

    def clear(self) -> None:
        """Nothing is spelled out any more."""
        for name in (*_TITLES, "questions"):
            self._mark(name, False)
            self._put(name, "")
        self._guess.clear()

    def _fill(self, name: str, text: str) -> None:
        if name not in self._edited and self._text(name) != text:
            self._put(name, text)

    def _text(self, name: str) -> str:
        widget = self.query_one(f"#field-{name}")
        return widget.value if isinstance(widget, Input) else self.query_one(TextArea).text

    def _put(self, name: str, text: str) -> None:
        widget = self.query_one(f"#field-{name}")
        with self.prevent(Input.Changed, TextArea.Changed):
            if isinstance(widget, Input):
                widget.value = text
            else:
                self.query_one(TextArea).load_text(text)

    def _mark(self, name: str, edited: bool) -> None:
        (self._edited.add if edited else self._edited.discard)(name)
        label = self.query_one(f"#label-{name}", Label)
        label.set_class(edited, "-edited")
        label.update((_TITLES | {"questions": "Questions"})[name] + (_EDITED if edited else ""))

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _edit(self, event: Input.Changed | TextArea.Changed) -> None:
        event.stop()
        name = (event.control.id or "").removeprefix("field-")
        text = self._text(name)
        self._mark(name, bool(text.strip()) and text != self._guess.get(name, ""))
        self.post_message(self.Changed())

    @on(Input.Submitted)
    def _accept(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Accepted())
