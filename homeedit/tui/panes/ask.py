"""Ask: questions to the edited model, the base model, or both side by side; answers as they are said."""

import threading
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Input, Static

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.household.results import Reply
from homeedit.tui.actions import bindings_of
from homeedit.tui.drafts import Draft
from homeedit.tui.pane import Pane
from homeedit.tui.talking import Talker
from homeedit.tui.widgets.exchange import BASE, EDITED, AnswerView, Exchange, FactChip
from homeedit.tui.widgets.question_line import QuestionLine
from homeedit.tui.words import shortened, the_build

_WIDE = 100
"""From this many columns on, two answers stand side by side."""
_MODES = {EDITED: "edited model", BASE: "base model", "both": "both side by side"}
_EXAMPLES = 3


class AskPane(Pane):
    """The conversation and the line below it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("ask")]
    DEFAULT_CSS = """
    AskPane #conversation { height: 1fr; scrollbar-size-vertical: 1; border-top: solid $panel-lighten-2; }
    AskPane #conversation { border-title-color: $text-muted; }
    AskPane #conversation:focus { border-top: heavy $accent; border-title-color: $text; border-title-style: bold; }
    AskPane #conversation > Static { height: auto; margin-bottom: 1; }
    AskPane #mode { height: auto; color: $text-muted; }
    AskPane #mode:hover { color: $text; }
    AskPane.-wide Exchange > .answers { layout: horizontal; }
    AskPane QuestionLine { background: $boost; margin-bottom: 1; }
    AskPane QuestionLine:focus { background: $primary 20%; }
    """

    class Said(Message):
        """A model said more. Posted by the thread that listens to it."""

        def __init__(self, view: AnswerView, reply: Reply) -> None:
            super().__init__()
            self.view, self.reply = view, reply

    class Ended(Message):
        """A model has ended its answer, was stopped, or failed."""

        def __init__(self, exchange: Exchange, view: AnswerView, stopped: bool, error: HomeEditError | None) -> None:
            super().__init__()
            self.exchange, self.view, self.stopped, self.error = exchange, view, stopped, error

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mode = EDITED
        self._talker: Talker | None = None
        self._stop = threading.Event()
        self._draft = Draft(self, "question")
        self._build: int | None = None
        """The build that answered last, or that is known to be served."""
        self._knows_build = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="conversation"):
            yield Static("", id="intro", markup=False)
        yield Static("", id="mode", markup=False)
        yield QuestionLine(id="question")

    def on_mount(self) -> None:
        self._talker = Talker(self.face.household)
        self._show_mode()
        conversation = self.query_one("#conversation", VerticalScroll)
        conversation.border_title = "Questions and answers"
        conversation.anchor()
        self.face.perform(self.face.household.typed, lambda typed: self._restore(typed.get(self._draft.name, "")))

    def on_unmount(self) -> None:
        """Stop what is said and free the models, in a thread: one of them may be loading."""
        self._stop.set()
        self._draft.flush()
        if self._talker is not None:
            threading.Thread(target=self._talker.close, name="end of talk").start()

    def on_resize(self, event: events.Resize) -> None:
        """Two answers beside or below each other."""
        self.set_class(event.size.width >= _WIDE, "-wide")

    def refresh_data(self) -> None:
        """Which build is served now, and what could be asked."""
        household = self.face.household

        def load() -> tuple[int | None, list[Fact]]:
            return household.active_number(), household.facts()

        def failed(_: HomeEditError) -> None:
            self._introduce([])

        self.face.perform(load, lambda found: self._loaded(*found), failed)

    def _loaded(self, number: int | None, facts: Sequence[Fact]) -> None:
        self._introduce(facts)
        self._notice_build(number)

    def focus_first(self) -> None:
        """The line where one types."""
        self.line.focus()

    @property
    def line(self) -> QuestionLine:
        """Where questions are typed."""
        return self.query_one(QuestionLine)

    @property
    def exchanges(self) -> list[Exchange]:
        """The conversation, oldest first."""
        return list(self.query(Exchange))

    # What is shown

    def _restore(self, text: str) -> None:
        if text and not self.line.value:
            self.line.value = text
            self.line.cursor_position = len(text)

    def _introduce(self, facts: Sequence[Fact]) -> None:
        lines = [
            "Every question is asked on its own: the models do not remember this conversation.",
            f"↑ brings earlier questions back. Escape leaves the line; then {self.key('ask.stop')} stops an answer, "
            f"{self.key('ask.sides')} changes who answers.",
        ]
        examples = [fact.questions[0] for fact in facts if fact.enabled and fact.state == "live" and fact.questions]
        if examples:
            lines += ["", "For example:", *(f"  {shortened(question, 100)}" for question in examples[:_EXAMPLES])]
        self.query_one("#intro", Static).update("\n".join(lines))

    def _show_mode(self) -> None:
        choices = "   ".join(f"{'●' if mode == self.mode else '○'} {name}" for mode, name in _MODES.items())
        self.query_one("#mode", Static).update(f"Asks:  {choices}   (Escape, {self.key('ask.sides')})")

    def _notice_build(self, number: int | None) -> None:
        """Say when another build is served than before."""
        if self._knows_build and number != self._build and self.exchanges:
            notice = Static(f"― {the_build(number)} is served from here on ―", classes="hint notice", markup=False)
            running = next((each for each in self.exchanges if not each.ended), None)
            self.query_one("#conversation").mount(notice, before=running)
        self._build, self._knows_build = number, True

    # Asking

    @on(Input.Changed, "#question")
    def _keep_typed(self, event: Input.Changed) -> None:
        self._draft.keep(event.value)

    @on(QuestionLine.Left)
    def _leave_line(self) -> None:
        self.query_one("#conversation").focus()

    @on(Input.Submitted, "#question")
    async def _ask(self, event: Input.Submitted) -> None:
        question = event.value.strip()
        if not question:
            return
        if any(not each.ended for each in self.exchanges):
            stop = self.key("ask.stop")
            self.face.say("The last question is still being answered.", f"Escape, then {stop} stops it.")
            return
        self.line.remember(question)
        self._stop = threading.Event()
        exchange = Exchange(question, self.mode)
        conversation = self.query_one("#conversation", VerticalScroll)
        await conversation.mount(exchange)
        conversation.anchor()
        for side, view in exchange.views.items():
            work = partial(self._listen, exchange, view, side == BASE, self._stop)
            self.run_worker(work, thread=True, exit_on_error=False, group="answers")

    def _listen(self, exchange: Exchange, view: AnswerView, base: bool, stop: threading.Event) -> None:
        """In a thread: ask, and post what is said. Widgets are touched by the messages' handlers only."""
        assert self._talker is not None
        error: HomeEditError | None = None
        try:
            last = self._talker.answer(exchange.question, base, stop, lambda reply: self._post(self.Said(view, reply)))
            stopped = stop.is_set() and not (last is not None and last.done)
        except HomeEditError as raised:
            error, stopped = raised, False
        except Exception as raised:  # a mistake of ours ends an answer, not the app
            stopped = False
            error = HomeEditError(f"Something unexpected went wrong: {type(raised).__name__}: {str(raised)[:200]}")
            self.app.call_from_thread(self.face.show_unexpected, raised)
        self._post(self.Ended(exchange, view, stopped, error))

    def _post(self, message: Message) -> None:
        """Post a message from a thread."""
        self.post_message(message)

    @on(Said)
    def _show_said(self, message: Said) -> None:
        if not message.view.is_mounted:
            return
        if message.view.side == EDITED and message.view.reply is None:
            self._notice_build(message.reply.build)
        message.view.show(message.reply)

    @on(Ended)
    def _show_end(self, message: Ended) -> None:
        view = message.view
        if not view.is_mounted:
            return
        if message.error is not None:
            view.fail(message.error)
            return
        view.end(stopped=message.stopped)
        if view.reply is not None and view.reply.build is not None and view.text:
            household, question, answer = self.face.household, message.exchange.question, view.text
            self.face.perform(lambda: household.touched(question, answer), view.touch)

    @on(FactChip.Chosen)
    def _show_fact(self, message: FactChip.Chosen) -> None:
        self.face.action_show("facts")
        self._select(message.fact_id, tries=20)

    def _select(self, fact_id: str, tries: int) -> None:
        """Put the cursor of Facts on a fact; that pane may be made only now."""
        from homeedit.tui.panes.facts import FactsPane

        pane = self.face.pane("facts")
        if pane is None or self.face.panes.current != "facts":
            if tries:
                self.set_timer(0.05, lambda: self._select(fact_id, tries - 1))
            return
        if isinstance(pane, FactsPane):
            pane.show_fact(fact_id)

    # Actions

    @on(events.Click, "#mode")
    def action_sides(self) -> None:
        """Edited, base, both, and again."""
        modes = list(_MODES)
        self.mode = modes[(modes.index(self.mode) + 1) % len(modes)]
        self._show_mode()

    def action_stop(self) -> None:
        """End the answers that are being given."""
        self._stop.set()

    def action_copy(self) -> None:
        """Copy the last question with its answers."""
        if not self.exchanges:
            self.face.say("Nothing was asked yet.", severity="warning")
            return
        last = self.exchanges[-1]
        answers = list(last.views.values())
        if len(answers) == 1:
            self.face.copy(answers[0].text)
        else:
            self.face.copy("\n\n".join([last.question, *(f"{_MODES[view.side]}: {view.text}" for view in answers)]))

    def action_clear(self) -> None:
        """Empty the conversation."""
        self._stop.set()
        self.query("Exchange, .notice").remove()

    def action_write(self) -> None:
        """Go to the line."""
        self.line.focus()
