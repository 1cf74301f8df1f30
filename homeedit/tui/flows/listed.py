"""What the flows need of the pane that they are parts of."""

from homeedit.tui.pane import Pane
from homeedit.tui.said import Said
from homeedit.tui.undo import UndoStack
from homeedit.tui.widgets.add_line import AddLine
from homeedit.tui.widgets.fact_filter import KnownFact


class Listed(Pane):
    """A pane with a list of facts, a line to add, and changes that can be taken back.

    What raises NotImplementedError here is for the pane to define: ``FactsPane`` does. (Textual's widgets have a
    metaclass of their own, so this cannot be an ABC.)
    """

    go_to_when_loaded: str = ""
    """The fact to which the cursor goes once the list is loaded again."""

    @property
    def undo_stack(self) -> UndoStack:
        """Changes that can be taken back."""
        return self.face.undo_stack

    @property
    def add_line(self) -> AddLine:
        """The line above the list."""
        raise NotImplementedError

    @property
    def current(self) -> KnownFact | None:
        """The fact under the cursor."""
        raise NotImplementedError

    def tags(self) -> dict[str, int]:
        """Every tag and how many facts have it."""
        raise NotImplementedError

    def show_fact(self, fact_id: str) -> None:
        """Move the cursor to a fact."""
        raise NotImplementedError

    def tell(self, said: Said, line: str, hint: str = "") -> None:
        """Say that something was done, and apart from it what the household had to say about it."""
        self.face.say(line, hint)
        for warning in said.lines:
            self.face.say(warning, severity="warning")
