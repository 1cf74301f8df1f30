"""A question with its answers, from one model or two side by side."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.household.results import Reply
from homeedit.tui.words import plain, shortened

EDITED, BASE = "edited", "base"
NAMES = {EDITED: "edited model", BASE: "base model"}


def safe(text: str) -> str:
    """A text of several lines without characters that a terminal obeys."""
    return "\n".join(plain(line) for line in text.splitlines())


class FactChip(Button):
    """A fact that an answer touches; pressing it shows the fact."""

    DEFAULT_CSS = """
    FactChip { max-width: 100%; text-overflow: ellipsis; text-wrap: nowrap; }
    """

    class Chosen(Message):
        """The person wants to see the fact."""

        def __init__(self, fact_id: str) -> None:
            super().__init__()
            self.fact_id = fact_id

    def __init__(self, fact: Fact) -> None:
        # Content, not str: a sentence is never read as markup.
        super().__init__(Content(f"touches {fact.id}: {shortened(fact.sentence, 80)}"), compact=True)
        self.fact_id = fact.id

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Say which fact."""
        event.stop()
        self.post_message(self.Chosen(self.fact_id))


class AnswerView(Vertical):
    """One model's answer as it grows: who answers, the text, and the facts it touches."""

    DEFAULT_CSS = """
    AnswerView { height: auto; width: 1fr; padding: 0 1 0 2; margin-bottom: 1; }
    AnswerView Static { height: auto; }
    AnswerView .who { text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, side: str) -> None:
        super().__init__()
        self.side = side
        self.reply: Reply | None = None
        self.ended = False
        self._first_seconds = 0.0

    def compose(self) -> ComposeResult:
        yield Static(f"{NAMES[self.side]} · …", classes="who hint", markup=False)
        yield Static("", classes="said", markup=False)

    @property
    def text(self) -> str:
        """What was answered so far."""
        return self.reply.text if self.reply is not None else ""

    def show(self, reply: Reply) -> None:
        """Show what was said so far."""
        if self.reply is None:
            self._first_seconds = reply.seconds
        self.reply = reply
        self.query_one(".said", Static).update(Text(safe(reply.text)))
        self._show_who(reply)

    def _show_who(self, reply: Reply, remark: str = "") -> None:
        build = f"build {reply.build}" if reply.build is not None else "no build yet: the base model answers"
        parts = [NAMES[self.side], *([build] if self.side == EDITED else []), f"{reply.seconds:.1f} s"]
        spent = reply.seconds - self._first_seconds
        if reply.tokens > 1 and spent > 0:
            parts.append(f"{(reply.tokens - 1) / spent:.0f} tokens/s")
        parts += [*([remark] if remark else []), plain(reply.model)]
        self.query_one(".who", Static).update(" · ".join(parts))

    def end(self, *, stopped: bool = False) -> None:
        """The answer is complete, or was stopped."""
        self.ended = True
        if self.reply is None:
            self.query_one(".who", Static).update(f"{NAMES[self.side]} · stopped before it said anything")
        else:
            self._show_who(self.reply, "stopped" if stopped else "")
            if not self.reply.text.strip() and not stopped:
                self.query_one(".said", Static).update("(it said nothing)")

    def fail(self, error: HomeEditError) -> None:
        """Say why there is no answer."""
        self.ended = True
        self.query_one(".who", Static).update(f"{NAMES[self.side]} · no answer")
        words = "\n".join(part for part in (f"✗ {safe(error.message)}", safe(error.hint)) if part)
        self.query_one(".said", Static).update(words)

    def touch(self, facts: Sequence[Fact]) -> None:
        """List the facts that the answer touches."""
        self.mount(*(FactChip(fact) for fact in facts))


class Exchange(Vertical):
    """A question and its answers."""

    SIDES: ClassVar[dict[str, tuple[str, ...]]] = {EDITED: (EDITED,), BASE: (BASE,), "both": (BASE, EDITED)}
    DEFAULT_CSS = """
    Exchange { height: auto; }
    Exchange > .question { height: auto; text-style: bold; }
    Exchange > .answers { height: auto; layout: vertical; }
    """

    def __init__(self, question: str, asked: str) -> None:
        super().__init__()
        self.question = question
        self.views = {side: AnswerView(side) for side in self.SIDES[asked]}

    def compose(self) -> ComposeResult:
        yield Static(f"> {plain(self.question)}", classes="question", markup=False)
        with Container(classes="answers"):
            yield from self.views.values()

    @property
    def ended(self) -> bool:
        """Whether every answer is complete, stopped or failed."""
        return all(view.ended for view in self.views.values())
