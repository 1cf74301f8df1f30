"""How many builds to keep, with the numbers of those that go."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from homeedit.tui.history import History
from homeedit.tui.words import counted, size

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp


class PruneDialog(ModalScreen[int | None]):
    """Gives the number of builds to keep, None for Cancel, which has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]
    DEFAULT_CSS = """
    PruneDialog #keep-line { height: auto; margin: 1 0; }
    PruneDialog #keep-line Static { width: auto; padding: 1 1 0 0; }
    PruneDialog #keep { width: 12; }
    """

    def __init__(self, face: "HomeEditApp", history: History) -> None:
        super().__init__()
        self._face, self._history = face, history

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static("Delete older builds?", markup=False, classes="heading")
            with Horizontal(id="keep-line"):
                yield Static("Keep the newest", markup=False)
                yield Input(str(self._first()), type="integer", max_length=4, id="keep")
            yield Static("", id="going", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Delete", id="delete", variant="error")

    def on_mount(self) -> None:
        self.query_one("#cancel").focus()

    @property
    def _keep(self) -> int | None:
        text = self.query_one("#keep", Input).value
        return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None

    def _first(self) -> int:
        """What the settings keep, where that lets any go."""
        return self._history.keep if len(self._history.builds) > self._history.keep else 1

    @on(Input.Changed)
    def _look(self) -> None:
        """Ask which would go; Delete waits for the answer."""
        keep = self._keep
        self.query_one("#delete", Button).disabled = True
        if keep is None:
            self._show(None, [])
            return
        household = self._face.household
        self._face.perform(
            lambda: household.prune(keep, dry_run=True), lambda going: self._show(keep, going), owner=self
        )

    def _show(self, keep: int | None, going: Sequence[int]) -> None:
        if not self.is_attached or keep != self._keep:
            return  # closed, or typed over meanwhile
        old = [build for build in self._history.builds if build.number in going]
        if keep is None:
            line = "Type how many to keep, at least 1."
        elif not old:
            line = f"Nothing goes: there are {counted(len(self._history.builds), 'build')}."
        else:
            numbers = ", ".join(str(build.number) for build in reversed(old))
            freed = size(sum(build.bytes for build in old))
            line = f"{'Build' if len(old) == 1 else 'Builds'} {numbers} {'goes' if len(old) == 1 else 'go'} ({freed})."
        self.query_one("#going", Static).update(
            f"{line}\nThe one that is served stays, whatever its number. Facts and patches stay."
        )
        self.query_one("#delete", Button).disabled = not old

    @on(Input.Submitted)
    def _to_buttons(self) -> None:
        self.query_one("#cancel").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Give the answer."""
        self.dismiss(self._keep if event.button.id == "delete" else None)
