"""One setting changed in homeedit.toml."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Button, Input, Static

from homeedit.errors import HomeEditError
from homeedit.household.results import SettingValue
from homeedit.tui.actions import ACTIONS

if TYPE_CHECKING:
    from homeedit.tui.app import HomeEditApp


class SettingDialog(ModalScreen[None]):
    """Writes the value itself and stays open when it is not allowed. A key is typed as ``action = key``."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel")]
    DEFAULT_CSS = """
    SettingDialog Input { margin: 1 0; }
    SettingDialog #setting-problem { height: auto; }
    """

    def __init__(self, setting: SettingValue) -> None:
        super().__init__()
        self._setting = setting

    @property
    def _is_keys(self) -> bool:
        return isinstance(self._setting.value, Mapping)

    def compose(self) -> ComposeResult:
        setting = self._setting
        hint = f"{setting.text} Allowed: {setting.allowed}."
        if self._is_keys:
            hint += " For example: facts.add = n (F1 shows the names of all actions)."
        if setting.source.startswith("--"):
            hint += f" Now it is set by {setting.source}, which goes before the file."
        with Vertical(classes="dialog"):
            yield Static(f"Change {setting.name}", markup=False, classes="heading")
            yield Static(hint, markup=False)
            yield Input("" if self._is_keys else str(setting.value), suggester=self._suggester(), id="value")
            yield Static("", id="setting-problem", markup=False, classes="bad")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                yield Button("Change", id="change", variant="primary")

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        if self._setting.name == "model":
            face = cast("HomeEditApp", self.app)
            face.perform(
                lambda: [base.name for base in face.household.models()], self._suggest, lambda _: None, owner=self
            )

    def _suggest(self, names: list[str]) -> None:
        self.query_one(Input).suggester = SuggestFromList(names)

    def _suggester(self) -> SuggestFromList | None:
        if self._is_keys:
            return SuggestFromList([f"{action.id} = " for action in ACTIONS])
        words = re.split(r", | or ", self._setting.allowed)
        return SuggestFromList(words) if self._setting.value in words else None

    @on(Input.Submitted)
    def _write(self) -> None:
        name, text = self._setting.name, self.query_one(Input).value.strip()
        if self._is_keys:
            action, equals, text = (part.strip() for part in text.partition("="))
            if not equals or not any(each.id == action for each in ACTIONS):
                self._show_problem(HomeEditError(f"There is no action {action!r}.", "Type it as: facts.add = n"))
                return
            name = f"keys.{action}"
        face = cast("HomeEditApp", self.app)

        def written(_: None) -> None:
            face.apply_settings()
            face.say(f"{name} = {text}", "It holds from now on, and stands in homeedit.toml.")
            face.changed()
            self.dismiss()

        face.perform(lambda: face.household.change_setting(name, text), written, self._show_problem, owner=self)

    def _show_problem(self, error: HomeEditError) -> None:
        self.query_one("#setting-problem", Static).update(f"✗ {error.message} {error.hint}".strip())

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Write it, or leave it."""
        if event.button.id == "change":
            self._write()
        else:
            self.dismiss()
