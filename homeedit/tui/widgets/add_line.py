"""The line in which a fact is typed, with what will be understood of it below."""

import json
from typing import TYPE_CHECKING, ClassVar, cast

from rich.console import Group, RenderableType
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Button, Input, Static

from homeedit.tui.actions import bindings_of
from homeedit.tui.drafts import Draft
from homeedit.tui.understanding import Typed, Understood, typed_with, understand
from homeedit.tui.widgets.fact_fields import FactFields
from homeedit.tui.widgets.fact_words import meaning, notices

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp

_QUIET_SECONDS = 0.15
_PLACEHOLDER = "Type a sentence, or paste many"


class SentenceInput(Input):
    """One line. Many pasted lines are not cut to the first: they are handed on together."""

    # An input takes ctrl+e for the end of the line (the End key still does that). Bound here without a method,
    # the key goes on to the pane.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "leave", show=False),
        *(binding for binding in bindings_of("facts") if binding.id == "facts.unfold"),
    ]

    class ManyPasted(Message):
        """More than one line was pasted."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """Down: out of the line."""

    def on_paste(self, event: events.Paste) -> None:
        """Keep what Textual's own input would drop."""
        lines = [line for line in event.text.splitlines() if line.strip()]
        if len(lines) > 1:
            event.prevent_default()
            event.stop()
            self.post_message(self.ManyPasted(event.text))

    def action_leave(self) -> None:
        """Go on to what is below."""
        self.post_message(self.Left())


class AddLine(Vertical):
    """Input, preview, and a small form that unfolds."""

    DEFAULT_CSS = """
    AddLine {
        height: auto;
        max-height: 16;
        padding: 0 1;
        border: round $panel-lighten-2;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        &:focus-within { border: round $border; border-title-color: $text; }
        & > Horizontal.line { height: 1; }
        & SentenceInput { width: 1fr; background: $background; }
        & SentenceInput:focus { background-tint: $foreground 0%; }
        & .preview { height: auto; max-height: 8; display: none; }
        &:focus-within .preview.-shown { display: block; }
        & FactFields { display: none; margin-top: 1; }
        &.-unfolded FactFields { display: block; }
        & .more { width: auto; min-width: 0; }
    }
    """

    class Wanted(Message):
        """Enter: this sentence is to be added."""

        def __init__(self, typed: Typed) -> None:
            super().__init__()
            self.typed = typed

    class Left(Message):
        """The person goes on to the list."""

    def __init__(self, unfold_key: str) -> None:
        super().__init__(id="add-line")
        self._unfold_key = unfold_key
        self.understood: Understood | None = None
        self._timer: Timer | None = None
        self._draft = Draft(self, "add")
        self._explicit_draft = Draft(self, "add, spelled out")
        self.border_title = "Add a fact"

    def compose(self) -> ComposeResult:
        with Horizontal(classes="line"):
            yield SentenceInput(placeholder=_PLACEHOLDER, id="add-input", compact=True, select_on_focus=False)
            yield Button(self._button_words(False), compact=True, classes="more")
        yield Static("", markup=False, classes="preview")
        yield FactFields()

    def on_unmount(self) -> None:
        """What was typed last is not lost."""
        self._draft.flush()
        self._explicit_draft.flush()

    @property
    def input(self) -> SentenceInput:
        """The line itself."""
        return self.query_one(SentenceInput)

    @property
    def fields(self) -> FactFields:
        """The form below."""
        return self.query_one(FactFields)

    @property
    def typed(self) -> Typed:
        """What stands in the line and in the form."""
        return typed_with(self.input.value, self.fields.explicit)

    def restore(self, drafts: dict[str, str]) -> None:
        """Put back what stood here when the app ended. What was typed since is kept."""
        if self.input.value or not drafts.get("add"):
            return
        try:
            explicit = json.loads(drafts.get("add, spelled out", "{}"))
            known = {name: value for name, value in explicit.items() if name in Typed.__dataclass_fields__}
            self.fields.spell_out(known)  # type: ignore[arg-type]
        except (ValueError, AttributeError, TypeError):
            known = {}
        self.set_class(bool(known), "-unfolded")
        self.put(drafts["add"])

    def put(self, sentence: str) -> None:
        """Write a sentence into the line, for the person to go on with."""
        self.input.value = sentence
        self.input.cursor_position = len(sentence)

    def clear(self) -> None:
        """The sentence is stored: the line is free for the next."""
        self.fields.clear()
        self.remove_class("-unfolded")
        self.input.value = ""

    def action_unfold(self) -> None:
        """Show or hide the form."""
        unfolded = not self.has_class("-unfolded")
        self.set_class(unfolded, "-unfolded")
        self.query_one(".more", Button).label = self._button_words(unfolded)
        if unfolded:
            self.fields.query_one("#field-subject").focus()
        else:
            self.input.focus()
        self._show()

    def _button_words(self, unfolded: bool) -> str:
        return f"{'Fold' if unfolded else 'Spell out'} {self._unfold_key}"

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The button does what the key does."""
        event.stop()
        self.action_unfold()

    # Understanding while it is typed

    @on(Input.Changed, "#add-input")
    @on(FactFields.Changed)
    def _look_again(self, event: Message) -> None:
        event.stop()
        self._draft.keep(self.input.value)
        explicit = self.fields.explicit
        self._explicit_draft.keep(json.dumps(explicit) if explicit else "")
        if self._timer is not None:
            self._timer.stop()
        if not self.input.value.strip():
            self._take(None)
            return
        self._timer = self.set_timer(_QUIET_SECONDS, self.look)

    def look(self) -> None:
        """Understand anew what stands in the line."""
        face, typed = cast("HomeEditApp", self.app), self.typed

        def done(understood: Understood) -> None:
            if self.typed == typed:  # else it was changed meanwhile, and this is no longer about it
                self._take(understood)

        if typed.sentence.strip():
            face.perform(lambda: understand(face.household, typed), done)

    def _take(self, understood: Understood | None) -> None:
        self.understood = understood
        self.fields.show(understood.parsed if understood else None)
        self._show()

    def _show(self) -> None:
        preview = self.query_one(".preview", Static)
        parts: list[RenderableType] = []
        if self.understood is not None:
            parts += notices(self.understood)
            if self.understood.parsed is not None and not self.has_class("-unfolded"):
                parts.append(meaning(self.understood.parsed))
        preview.set_class(bool(parts), "-shown")
        preview.update(Group(*parts))
        self.border_subtitle = self._what_enter_does()

    def _what_enter_does(self) -> str:
        if self.understood is None or self.understood.parsed is None:
            return ""
        if self.understood.duplicate is not None:
            return "known already"
        return "Enter: replace or keep both?" if self.understood.contradicted else "Enter adds it"

    # Leaving the line

    @on(Input.Submitted, "#add-input")
    @on(FactFields.Accepted)
    def _want(self, event: Message) -> None:
        event.stop()
        if self.input.value.strip():
            self.post_message(self.Wanted(self.typed))

    @on(SentenceInput.Left)
    def _go_down(self, event: Message) -> None:
        event.stop()
        if self.has_class("-unfolded"):
            self.fields.query_one("#field-subject").focus()
        else:
            self.post_message(self.Left())
