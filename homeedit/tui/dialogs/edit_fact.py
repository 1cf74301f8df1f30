"""Changing a fact: its words and tags. The former wording is kept."""

import json
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Button, Input, Label, Static

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.tui.dialogs.confirm import Confirm
from homeedit.tui.dialogs.tags import split_tags
from homeedit.tui.drafts import Draft
from homeedit.tui.said import Said
from homeedit.tui.understanding import Typed, Understood, as_edited, understand
from homeedit.tui.widgets.fact_fields import FactFields
from homeedit.tui.widgets.fact_words import notices, quoted

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp

_QUIET_SECONDS = 0.15


class EditFact(ModalScreen[None]):
    """A form. It closes when the change is stored; what cannot be stored stays in it, with the reason."""

    DEFAULT_CSS = """
    EditFact VerticalScroll { height: auto; max-height: 100%; }
    EditFact .line { height: 1; }
    EditFact .line Label { width: 13; color: $text-muted; }
    EditFact .line Input { width: 1fr; background: $boost; }
    EditFact .line Input:focus { background: $primary 20%; }
    EditFact .notices { height: auto; min-height: 2; margin-top: 1; }
    EditFact #sentence-line { margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Cancel"),
        Binding("ctrl+s", "save", "Save"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, fact: Fact) -> None:
        super().__init__()
        self._fact = fact
        self._draft = Draft(self, f"edit {fact.id}")
        self._timer: Timer | None = None
        self._saving = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Static(f"Edit {self._fact.id} (the former wording is kept)", classes="heading", markup=False)
            with VerticalScroll(can_focus=False):
                with Horizontal(classes="line", id="sentence-line"):
                    yield Label("Sentence")
                    yield Input(self._fact.sentence, id="sentence", compact=True, select_on_focus=False)
                yield FactFields()
                with Horizontal(classes="line"):
                    yield Label("Tags")
                    yield Input(" ".join(self._fact.tags), id="tags", compact=True, select_on_focus=False)
                yield Static("", markup=False, classes="notices")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Save (Enter)", id="save", variant="primary")

    def on_mount(self) -> None:
        self._fields.show(self._fact)
        self._sentence.focus()
        self._face.perform(self._face.drafts.kept, lambda drafts: self._restore(drafts.get(self._draft.name, "")))

    def on_unmount(self) -> None:
        """What was typed last is not lost, if the app ends here."""
        self._draft.flush()

    @property
    def _face(self) -> "HomeEditApp":
        return cast("HomeEditApp", self.app)

    @property
    def _fields(self) -> FactFields:
        return self.query_one(FactFields)

    @property
    def _sentence(self) -> Input:
        return self.query_one("#sentence", Input)

    @property
    def _tags(self) -> tuple[str, ...]:
        return split_tags(self.query_one("#tags", Input).value)

    @property
    def typed(self) -> Typed:
        """The fact as it stands in the form."""
        return as_edited(self._fact, self._sentence.value, self._fields.explicit)

    @property
    def change(self) -> dict[str, Any]:
        """What differs from the fact, as ``Household.edit`` takes it."""
        options: dict[str, Any] = dict(self._fields.explicit)
        if self._sentence.value.strip() != self._fact.sentence:
            options["sentence"] = self._sentence.value
        if tuple(sorted(self._tags)) != self._fact.tags:
            options["tags"] = self._tags
        return options

    def _restore(self, draft: str) -> None:
        """Put back what stood here when the app ended. What was typed since is kept."""
        if not draft or self.change or not self.is_mounted:
            return
        try:
            kept = json.loads(draft)
            self._sentence.value = str(kept.pop("sentence", self._fact.sentence))
            self.query_one("#tags", Input).value = " ".join(kept.pop("tags", self._fact.tags))
            self._fields.spell_out(kept)
        except (ValueError, TypeError, AttributeError):
            return
        self._note([Text("What was typed here before, and not saved, is back.")])

    @on(Input.Changed, "#sentence, #tags")
    @on(FactFields.Changed)
    def _look_again(self, event: Message) -> None:
        event.stop()
        self._keep()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_QUIET_SECONDS, self._look)

    def _keep(self) -> None:
        change = self.change
        self._draft.keep(json.dumps(change) if change else "")

    def _look(self) -> None:
        household, typed = self._face.household, self.typed
        self._face.perform(lambda: understand(household, typed, ignore=[self._fact.id]), self._take)

    def _take(self, understood: Understood) -> None:
        if not self.is_mounted or understood.typed != self.typed:
            return
        self._fields.show(understood.parsed)
        self._note(notices(understood))

    def _note(self, lines: list[Text]) -> None:
        self.query_one(".notices", Static).update(Text("\n").join(lines))

    # Leaving

    @on(Input.Submitted)
    @on(FactFields.Accepted)
    def action_save(self) -> None:
        """Store what was changed."""
        change, fact, household, said = self.change, self._fact, self._face.household, Said()
        if not change:
            self.dismiss()
            return
        if self._saving:
            return
        self._saving = True

        def done(stored: Fact) -> None:
            self._face.undo_stack.push(f"changed {quoted(fact)}", before=[fact])
            self._face.say(f"Changed {fact.id}.", "" if set(change) == {"tags"} else "The next compile teaches it.")
            for warning in said.lines:
                self._face.say(warning, severity="warning")
            self._saved(stored, change)
            self._face.changed()

        def failed(error: HomeEditError) -> None:
            self._saving = False
            if self.is_mounted:
                self._note([Text(f"✗ {error.message}", style="bold"), Text(f"  {error.hint}")])

        self._face.perform(lambda: household.edit(fact.id, progress=said, **change), done, failed)

    def _saved(self, stored: Fact, change: dict[str, Any]) -> None:
        """Close, unless the person typed on meanwhile: that is a change of what is stored now."""
        self._saving = False
        if not self.is_mounted:
            return
        typed_on = self.change != change
        self._fact = stored
        if typed_on and self.change:
            self._keep()
            self._note([Text("Stored. What was typed since is not saved yet.")])
            return
        self._draft.keep("")
        if self.is_current:
            self.dismiss()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Save or leave."""
        if event.button.id == "save":
            self.action_save()
        else:
            self.action_close()

    def action_close(self) -> None:
        """Leave; asks first when something was typed."""
        if not self.change:
            self.dismiss()
            return

        def answered(sure: bool | None) -> None:
            if sure:
                self._draft.keep("")
                self.dismiss()

        question = Confirm("Throw away what you changed?", "The fact stays as it is.", yes="Throw away")
        self.app.push_screen(question, answered)
