"""Serve: what is served now, and how to use its file elsewhere until homeedit has a server of its own."""

import shlex
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.tui.actions import bindings_of
from homeedit.tui.pane import Pane
from homeedit.tui.widgets.copyable import Copyable
from homeedit.tui.words import counted, percent, size

_NOT_YET = (
    "homeedit serve comes with a later version. Until then any llama.cpp server can serve the file below: it is a "
    "whole model with the facts in it. Whoever can ask that server can ask for the facts."
)
_PORT = 8080


@dataclass(frozen=True, slots=True)
class Served:
    """What is served to ``homeedit ask`` now, and its file."""

    what: str
    gguf: str


class ServePane(Pane):
    """Texts to copy; Tab or the arrows go from one to the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_of("serve"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]
    DEFAULT_CSS = """
    ServePane #serve-texts { overflow-y: auto; scrollbar-size-vertical: 1; }
    ServePane #serve-note { margin: 1 0; }
    """

    def compose(self) -> ComposeResult:
        with Vertical(id="serve-texts"):
            yield Static(_NOT_YET, id="serve-note", markup=False)
            yield Copyable("Served to homeedit ask now", id="served")
            yield Copyable("Its file", id="served-file")
            yield Copyable("A server for it", id="served-command")
            yield Copyable("Home Assistant", id="served-recipe")

    def refresh_data(self) -> None:
        builds = self.key("app.show-builds")
        self.face.perform(lambda: served(self.face.household, builds), self._show, self._show_error)

    def _show(self, found: Served) -> None:
        for name, text in (
            ("served", found.what),
            ("served-file", found.gguf),
            ("served-command", server_command(found.gguf)),
            ("served-recipe", RECIPE),
        ):
            self.query_one(f"#{name}", Copyable).show(text)

    def _show_error(self, error: HomeEditError) -> None:
        self.query_one("#served", Copyable).show(f"✗ {error.message} {error.hint}".strip())
        for name in ("served-file", "served-command", "served-recipe"):
            self.query_one(f"#{name}", Copyable).show("–")

    def action_copy(self) -> None:
        """Copy the text that has the focus, else the server's command."""
        focused = self.app.focused
        chosen = focused if isinstance(focused, Copyable) else self.query_one("#served-command", Copyable)
        self.face.copy(chosen.text)


def served(household: Household, builds_key: str) -> Served:
    """What is served now; raises HomeEditError when the home, its model or the build is damaged."""
    builds, number = household.builds()
    name = household.settings.model
    if number is None:
        gguf = next(base.gguf for base in household.models() if base.name == name)
        return Served(f"✓ The base model {name}, without any fact.", str(gguf))
    build = next((build for build in builds if build.number == number), None)
    if build is None or build.problem:
        why = build.problem if build else "its folder is missing"
        raise HomeEditError(
            f"Build {number}, which is served, cannot be used: {why}.", f"Serve another one ({builds_key}, Builds)."
        )
    facts = counted(len(build.facts), "fact")
    return Served(
        f"✓ Build {number} of {name}: {facts}, {percent(build.recall)} recalled when it was made, {size(build.bytes)}.",
        str(build.gguf),
    )


def server_command(gguf: str) -> str:
    """The command line of llama.cpp's server for a file."""
    return f"llama-server -m {shlex.quote(gguf)} --host 127.0.0.1 --port {_PORT}"


RECIPE = f"""\
1. On the machine with the file, start the server for the household's network, with a key:
   llama-server -m FILE --host 0.0.0.0 --port {_PORT} --api-key CHOOSE-A-KEY
2. In Home Assistant, install "Local OpenAI LLM" (skye-harris/hass_local_openai_llm) from HACS, and restart it.
3. Settings > Devices & services > Add integration > Local OpenAI LLM:
   server URL http://ADDRESS-OF-THAT-MACHINE:{_PORT}/v1, the same API key.
4. Add a conversation agent there and leave its instructions short: the model is small and knows the facts by heart.
5. Settings > Voice assistants > your assistant > Conversation agent: choose it.
After a compile, start the server again with the new build's file: it changes with every build."""
