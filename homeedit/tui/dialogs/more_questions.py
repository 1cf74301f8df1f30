"""Further questions of one fact, so that it is learned and asked in more words."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Static, TextArea

from homeedit.facts.fact import Fact
from homeedit.tui.drafts import Draft
from homeedit.tui.words import plain

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp


def new_questions(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The questions in a text, one a line, each once, without those that are known."""
    seen = {question.casefold() for question in known}
    fresh: list[str] = []
    for line in text.splitlines():
        question = " ".join(line.split())
        if question and question.casefold() not in seen:
            seen.add(question.casefold())
            fresh.append(question)
    return tuple(fresh)


class MoreQuestions(ModalScreen[tuple[str, ...] | None]):
    """Gives the new questions, None for Cancel. What is typed is kept until they are stored."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel"),
        Binding("ctrl+s", "save", "Add them"),
    ]
    DEFAULT_CSS = """
    MoreQuestions #known { height: auto; max-height: 16vh; scrollbar-size-vertical: 1; }
    MoreQuestions #known Static { height: auto; }
    MoreQuestions TextArea { height: 18vh; min-height: 4; }
    MoreQuestions .heading { margin-top: 0; }
    """

    def __init__(self, fact: Fact) -> None:
        super().__init__()
        self._fact = fact
        self.draft = Draft(self, f"questions-{fact.id}")

    def compose(self) -> ComposeResult:
        known = "\n".join(f"· {plain(question)}" for question in self._fact.questions)
        with Vertical(classes="dialog"):
            yield Static(f"More phrasings of {self._fact.id}", markup=False, classes="heading")
            yield Static(plain(self._fact.sentence), markup=False)
            yield Static("Asked so far:", markup=False, classes="hint")
            with VerticalScroll(id="known", can_focus=False):
                yield Static(known, markup=False)
            yield Static("Other ways to ask for it, one a line:", markup=False)
            yield TextArea(tab_behavior="focus")
            yield Static("", id="count", markup=False, classes="hint")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Add (ctrl+s)", id="add", variant="primary")

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()
        self._count()
        face = cast("HomeEditApp", self.app)
        face.perform(face.drafts.kept, lambda texts: self._restore(texts.get(self.draft.name, "")), owner=self)

    def _restore(self, text: str) -> None:
        area = self.query_one(TextArea)
        if text and not area.text:
            area.text = text
            area.move_cursor(area.document.end)

    def on_text_area_changed(self) -> None:
        """Keep what is typed."""
        self.draft.keep(self.query_one(TextArea).text)
        self._count()

    @property
    def questions(self) -> tuple[str, ...]:
        """What would be added."""
        return new_questions(self.query_one(TextArea).text, self._fact.questions)

    def _count(self) -> None:
        count = len(self.questions)
        self.query_one("#count", Static).update(
            f"{count} to add. The fact is compiled again by the next compile." if count else "Nothing to add yet."
        )
        self.query_one("#add", Button).disabled = not count

    def action_save(self) -> None:
        """Give the questions, if there are any."""
        if self.questions:
            self.draft.flush()
            self.dismiss(self.questions)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Add or cancel."""
        if event.button.id == "add":
            self.action_save()
        else:
            self.dismiss(None)

    def on_unmount(self) -> None:
        self.draft.flush()
