"""The colours: tried while the cursor moves, kept with Enter."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from homeedit.household import Household

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp


class ThemeDialog(ModalScreen[None]):
    """All themes. Escape brings the one back that was there."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "Cancel")]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static("Theme (Enter keeps it)", markup=False, classes="heading")
            yield OptionList(*(Option(name, id=name) for name in sorted(self.app.available_themes)))

    def on_mount(self) -> None:
        self._before = self.app.theme
        self.face.trying_theme = True
        options = self.query_one(OptionList)
        options.highlighted = options.get_option_index(self._before)
        options.focus()

    @property
    def face(self) -> "HomeEditApp":
        """The app, by its own type."""
        return cast("HomeEditApp", self.app)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Try it."""
        if event.option_id:
            self.app.theme = event.option_id

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Keep it."""
        name = event.option_id or self._before
        household: Household = self.face.household
        self.face.perform(lambda: household.change_setting("theme", name), lambda _: self.face.changed())
        self._close(name)

    def action_back(self) -> None:
        """As it was."""
        self._close(self._before)

    def _close(self, theme: str) -> None:
        self.app.theme = theme
        # The app hears of the change after this message.
        self.face.call_after_refresh(self._tried)
        self.dismiss()

    def _tried(self) -> None:
        self.face.trying_theme = False
