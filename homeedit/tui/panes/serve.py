"""Serve: the server of this home, started, stopped and watched; and what to fill in elsewhere to use it."""

import socket
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.household.serving.state import RunningServer
from homeedit.tui.actions import bindings_of
from homeedit.tui.pane import Pane
from homeedit.tui.serve_words import (
    PORT,
    address_of,
    curl_line,
    custom_recipe,
    idle_lines,
    llama_recipe,
    ollama_recipe,
    running_lines,
)
from homeedit.tui.serving import ServerProcess
from homeedit.tui.widgets.copyable import Copyable

_LOOK_SECONDS = 2.0
_LEAVE_SECONDS = 2.0
"""For the server to end when the app does."""
_PORTS = range(PORT, PORT + 10)


class ServePane(Pane):
    """How the server is, and texts to copy; Tab or the arrows go from one to the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_of("serve"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]
    DEFAULT_CSS = """
    ServePane #serve-texts { overflow-y: auto; scrollbar-size-vertical: 1; }
    ServePane #serve-state { margin-bottom: 1; }
    """

    class ServerChanged(Message):
        """The server that the app started is ready, or has ended."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.process = ServerProcess()
        self.server: RunningServer | None = None
        self._looking = False

    def compose(self) -> ComposeResult:
        yield Static("", id="serve-state", markup=False)
        with Vertical(id="serve-texts"):
            yield Copyable("Address", id="serve-address")
            yield Copyable("A question from the shell", id="serve-curl")
            yield Copyable("Home Assistant: llama.cpp", id="serve-llama")
            yield Copyable("Home Assistant: Ollama", id="serve-ollama")
            yield Copyable("Home Assistant: Local OpenAI LLM", id="serve-custom")
            yield Copyable("The file that is served, for other llama.cpp programs", id="served-file")

    def on_mount(self) -> None:
        self.set_interval(_LOOK_SECONDS, self._look_again)

    def on_unmount(self) -> None:
        """The server that this app started ends with it."""
        self.process.stop(_LEAVE_SECONDS)

    # Looking

    def refresh_data(self) -> None:
        self._look("short")
        self.face.perform(lambda: served_file(self.face.household), self._show_file, self._show_file_error)

    def _look_again(self) -> None:
        if self.face.panes.current == self.id:
            self._look("serve")

    def on_serve_pane_server_changed(self) -> None:
        """What the app's own server says of itself is of interest at once."""
        self._show_state()
        self._look("serve")

    def _look(self, group: str) -> None:
        """Ask how the server is, in another thread, one look at a time."""
        if self._looking:
            return
        self._looking = True
        self.face.perform(self.face.household.server, self._show, self._show_error, group=group)

    def _show(self, server: RunningServer | None) -> None:
        self._looking = False
        self.server = server
        self._show_state()
        address = address_of(server)
        for name, text in (
            ("serve-address", address),
            ("serve-curl", curl_line(address)),
            ("serve-llama", llama_recipe(address)),
            ("serve-ollama", ollama_recipe(address)),
            ("serve-custom", custom_recipe(address)),
        ):
            self.query_one(f"#{name}", Copyable).show(text)

    def _show_error(self, error: HomeEditError) -> None:
        self._looking = False
        self.server = None
        self.query_one("#serve-state", Static).update(f"✗ {error.message} {error.hint}".strip())

    def _show_state(self) -> None:
        self.query_one("#serve-state", Static).update("\n".join(self._state_lines()))

    def _state_lines(self) -> list[str]:
        own = self.process.pid
        if own is not None and (self.server is None or not self.process.ready):
            return [f"… The server is being started on port {self.process.port}: the model is loaded."]
        if self.server is not None:
            return running_lines(self.server, ours=self.server.pid == own, stop_key=self.key("serve.stop"))
        return idle_lines(self.process.failure, self.key("serve.start"))

    def _show_file(self, gguf: str) -> None:
        self.query_one("#served-file", Copyable).show(gguf)

    def _show_file_error(self, error: HomeEditError) -> None:
        self.query_one("#served-file", Copyable).show(f"✗ {error.message} {error.hint}".strip())

    # Starting and stopping

    def action_start(self) -> None:
        """Start a server for this machine."""
        if self.process.pid is not None:
            self.face.say("The server runs, or is being started.")
        elif self.server is not None:
            self.face.say(f"A server runs already at {self.server.address} (process {self.server.pid}).")
        else:
            self.face.perform(self._start, lambda _: self._show_state(), group="serve")

    def _start(self) -> None:
        port = free_port()
        try:
            self.process.start(self.face.household.home.root, port, self._tell)
        except OSError as error:
            raise HomeEditError(f"The server could not be started: {error.strerror or error}.") from error

    def _tell(self) -> None:
        """Called in other threads."""
        self.post_message(self.ServerChanged())

    def action_stop(self) -> None:
        """Stop the server that this app started."""
        if self.process.pid is not None:
            self.face.say("The server is being stopped.")
            self.face.perform(self.process.stop, group="serve")
        elif self.server is not None:
            where = f"The server at {self.server.address} was started elsewhere: process {self.server.pid}."
            self.face.say(where, "Stop it there.", severity="warning")
        else:
            self.face.say("No server runs.")

    def action_copy(self) -> None:
        """Copy the text that has the focus, else the address."""
        focused = self.app.focused
        chosen = focused if isinstance(focused, Copyable) else self.query_one("#serve-address", Copyable)
        self.face.copy(chosen.text)


def free_port() -> int:
    """The usual port, or the next one on which nobody listens; raises HomeEditError when all are taken."""
    for port in _PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise HomeEditError(f"The ports {_PORTS[0]} to {_PORTS[-1]} are all taken.", "In a shell: homeedit serve --port N")


def served_file(household: Household) -> str:
    """The GGUF that is served; raises HomeEditError when the home, its model or the build is damaged."""
    builds, number = household.builds()
    name = household.settings.model
    if number is None:
        return str(next(base.gguf for base in household.models() if base.name == name))
    build = next((build for build in builds if build.number == number), None)
    if build is None or build.problem:
        why = build.problem if build else "its folder is missing"
        raise HomeEditError(f"Build {number}, which is served, cannot be used: {why}.", "Serve another one (Builds).")
    return str(build.gguf)
