"""What all panes have in common."""

from typing import TYPE_CHECKING, cast

from textual.containers import Vertical

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp


class Pane(Vertical):
    """One of the app's tabs. Made when it is first shown; then kept, so that work in it goes on unseen.

    Subclasses compose their widgets, set ``BINDINGS = bindings_of(id)``, and load what they show in ``refresh_data``,
    which is called when the pane is shown and after every change of facts, patches or builds.
    """

    @property
    def face(self) -> "HomeEditApp":
        """The app, by its own type."""
        return cast("HomeEditApp", self.app)

    def key(self, identity: str) -> str:
        """The key of an action, as it is written in a hint."""
        return self.face.key_of(identity)

    def refresh_data(self) -> None:
        """Load again what is shown. Called in the app's thread: use ``self.face.perform``."""

    def work_changed(self) -> None:
        """Long work moved on (``self.face.work``); about ten times a second while it runs."""

    def work_ended(self) -> None:
        """Long work ended, well or not; see ``self.face.work``. ``refresh_data`` follows."""

    def focus_first(self) -> None:
        """Put the focus where a person begins."""
        for widget in self.query("*"):
            if widget.focusable:
                widget.focus()
                return
