"""Where a question is typed; earlier ones come back with the arrow keys."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class QuestionLine(Input):
    """An input that remembers what was asked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "earlier", "Earlier question", show=False),
        Binding("down", "later", "Later question", show=False),
        Binding("escape", "leave", "To the answers", show=False),
    ]

    class Left(Message):
        """The person wants to leave the line."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(placeholder="Type a question; Enter asks it", id=id, select_on_focus=False, compact=True)
        self._asked: list[str] = []
        self._at = 0
        self._unsent = ""

    def remember(self, question: str) -> None:
        """Keep a question that was asked, and begin a new one."""
        if not self._asked or self._asked[-1] != question:
            self._asked.append(question)
        self._at, self._unsent = len(self._asked), ""
        self.value = ""

    def action_earlier(self) -> None:
        """The question before; what is typed comes back below the last one."""
        if self._at == len(self._asked):
            self._unsent = self.value
        self._go(self._at - 1)

    def action_later(self) -> None:
        """The question after."""
        self._go(self._at + 1)

    def _go(self, at: int) -> None:
        if 0 <= at <= len(self._asked) and at != self._at:
            self._at = at
            self.value = self._unsent if at == len(self._asked) else self._asked[at]
            self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        """Say that the person wants to leave."""
        self.post_message(self.Left())
