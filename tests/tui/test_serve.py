"""Serve: how the server is, starting and stopping it, and what can be copied."""

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from homeedit.household import Household
from homeedit.household.serving.state import Health, RunningServer, read_serving
from homeedit.tui.app import HomeEditApp
from homeedit.tui.panes import serve
from homeedit.tui.panes.serve import ServePane
from homeedit.tui.serve_words import address_of, curl_line, health_lines, running_lines
from homeedit.tui.serving import ServerProcess
from homeedit.tui.widgets.copyable import Copyable
from tests.household.conftest import World
from tests.household.test_compile import SENTENCES, teach
from tests.tui.doctored import call_doctored
from tests.tui.driver import Body, drive, settled, until

HEALTH = Health("tiny", 2, 0.0, "", "build", 12, 1, 3, 41.2)
ELSEWHERE = RunningServer("http://192.168.1.5:8080", 4242, 0.0, HEALTH)


def on_serve(household: Household, flow: Body, *, size: tuple[int, int] = (80, 24)) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("5")
        await until(pilot, lambda: app.panes.current == "serve", "the pane is shown")
        await settled(pilot)
        await flow(pilot, app)

    drive(household, body, size=size, call_apart=call_doctored)


def pane_of(app: HomeEditApp) -> ServePane:
    return app.screen.query_one(ServePane)


def state(app: HomeEditApp) -> str:
    return str(app.screen.query_one("#serve-state", Static).content)


def shown(app: HomeEditApp, name: str) -> str:
    return app.screen.query_one(f"#{name}", Copyable).text


def test_without_a_server_it_says_how_to_start_one(household: Household) -> None:
    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        assert state(app).startswith("○ No server runs") and "s starts one" in state(app)
        await pilot.press("x")
        assert any("No server runs." in line for line in app.journal)
        await pilot.press("y")
        assert app.clipboard == "http://127.0.0.1:8080"

    on_serve(household, flow)


def test_tab_and_arrows_choose_what_y_copies(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    household.compile()

    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("down", "y")
        assert app.clipboard.startswith("curl http://127.0.0.1:8080/v1/chat/completions")
        await pilot.press("tab", "y")
        assert "llama.cpp" in app.clipboard and "http://127.0.0.1:8080/v1;" in app.clipboard
        await pilot.press("down", "y")
        assert "Ollama" in app.clipboard and "without /v1" in app.clipboard
        await pilot.press("down", "down", "y")
        assert app.clipboard == str(household.builds()[0][0].gguf)
        assert app.focused is not None and app.focused.region.y < 24, "it is scrolled into view"

    on_serve(household, flow)


def test_a_served_build_that_is_gone_says_what_to_do(household: Household, world: World) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    household.builds()[0][0].gguf.unlink()

    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        assert shown(app, "served-file").startswith("✗ Build 1") and "Builds" in shown(app, "served-file")
        await pilot.press("y")
        assert app.is_running

    on_serve(household, flow)


def test_a_server_from_elsewhere_is_watched_and_left_alone(
    household: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "_LOOK_SECONDS", 0.05)
    found = [ELSEWHERE]
    monkeypatch.setattr(Household, "server", lambda self: found[0])

    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        assert "● Running at http://192.168.1.5:8080" in state(app) and "process 4242" in state(app)
        assert "Build 2 of tiny is live" in state(app)
        assert "12 requests · 1 running · 3 waiting · 41 tokens/s" in state(app)
        assert "$HOMEEDIT_API_KEY" in shown(app, "serve-curl"), "others reach it, so it has a key"
        await pilot.press("s", "x")
        assert any("runs already" in line for line in app.journal)
        assert any("Stop it there." in line for line in app.journal)
        found[0] = replace(ELSEWHERE, health=replace(HEALTH, problem="Build [3] could not be loaded."))
        await until(pilot, lambda: "✗ Build [3] could not be loaded." in state(app), "it is looked at again")
        found[0] = replace(ELSEWHERE, health=None)
        await until(pilot, lambda: "does not answer" in state(app), "silence is said")

    on_serve(household, flow)


SERVER = """
import json, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from homeedit.household.serving.state import write_serving
from homeedit.settings import Home

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        said = dict(model="tiny", build=None, since=0, problem="", mode="build", requests=7, running=0, waiting=0,
                    tokens_per_second=0.0)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())
    def log_message(self, *_):
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
address = f"http://127.0.0.1:{server.server_port}"
write_serving(Home(Path(sys.argv[1])), address)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"address": address}), flush=True)
sys.stdin.read()
"""


def use_command(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    def command(home: Path, port: int) -> list[str]:
        return [sys.executable, "-c", script, str(home)]

    monkeypatch.setattr(serve, "ServerProcess", lambda: serve_process(command))


serve_process = serve.ServerProcess


def test_the_app_starts_a_server_and_stops_it(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    use_command(monkeypatch, SERVER)

    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("s")
        await until(pilot, lambda: "being started" in state(app) or "● Running" in state(app), "it is said")
        await until(pilot, lambda: "● Running" in state(app), "the server is there")
        assert "This app started it" in state(app) and "7 requests" in state(app)
        assert "The base model tiny is live" in state(app)
        server = household.server()
        assert server is not None and shown(app, "serve-address") == server.address
        await pilot.press("x")
        await until(pilot, lambda: state(app).startswith("○ No server"), "it has stopped")
        assert "ended" not in state(app), "being stopped is no failure"

    on_serve(household, flow)


def test_the_end_of_one_server_says_nothing_of_the_next(tmp_path: Path) -> None:
    scripts = ["raise SystemExit(3)", "import sys; print('{}', flush=True); sys.stdin.read()"]
    next_begun = threading.Event()

    class Slow(ServerProcess):
        def _listen(self, process: "subprocess.Popen[str]") -> None:
            super()._listen(process)
            next_begun.wait(0.9)  # as where the last words are long in coming

    server = Slow(lambda home, port: [sys.executable, "-c", scripts.pop(0)])
    told = threading.Event()
    server.start(tmp_path, 1, lambda: None)
    followers = [thread for thread in threading.enumerate() if thread.name == "server"]
    while server.pid is not None:
        time.sleep(0.005)
    try:
        server.start(tmp_path, 2, told.set)
        assert told.wait(30)
        next_begun.set()
        for each in followers:
            each.join(30)
        assert server.ready and server.failure == ""
    finally:
        server.stop()


def test_a_started_server_ends_with_the_app(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    use_command(monkeypatch, SERVER)

    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("s")
        await until(pilot, lambda: "● Running" in state(app), "the server is there")
        await pilot.press("ctrl+q")

    on_serve(household, flow)
    assert read_serving(household.home) is None


def test_a_server_that_does_not_start_says_why(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    use_command(
        monkeypatch, "import sys; sys.exit('Port [red]8080 is taken.\\nChoose another: homeedit serve --port N')"
    )

    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("s")
        await until(pilot, lambda: "✗ The server ended" in state(app), "it is said")
        assert "Port [red]8080 is taken. Choose another: homeedit serve --port N" in state(app)
        assert pane_of(app).process.pid is None

    on_serve(household, flow)


@pytest.mark.parametrize(("end", "words"), [("os.kill(os.getpid(), 9)", "killed it (signal 9)"), ("0", "elsewhere")])
def test_a_server_that_others_end_is_no_riddle(
    household: Household, monkeypatch: pytest.MonkeyPatch, end: str, words: str
) -> None:
    """What it said when it began is no reason for its end."""
    use_command(monkeypatch, f"import os, sys; print('It answers.', file=sys.stderr, flush=True); {end}")

    async def flow(pilot: Pilot[None], app: HomeEditApp) -> None:
        await pilot.press("s")
        await until(pilot, lambda: "✗ The server ended" in state(app), "it is said")
        assert words in state(app) and "It answers." not in state(app)

    on_serve(household, flow)


def test_the_usual_port_or_the_next_free_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket() as taken, socket.socket() as other:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other.bind(("127.0.0.1", 0))
        free = other.getsockname()[1]
        other.close()
        monkeypatch.setattr(serve, "_PORTS", (taken.getsockname()[1], free))
        assert serve.free_port() == free


def test_addresses_that_others_can_use() -> None:
    assert address_of(None) == "http://127.0.0.1:8080"
    assert address_of(ELSEWHERE) == "http://192.168.1.5:8080"
    everywhere = replace(ELSEWHERE, address="http://0.0.0.0:8080")
    assert address_of(everywhere) == "http://ADDRESS-OF-THIS-MACHINE:8080"
    assert "Bearer" not in curl_line(address_of(None))


def test_words_of_a_server_are_never_escape_sequences() -> None:
    nasty = replace(HEALTH, model="ti\x1b[31mny", problem="\x1b]0;title\x07")
    text = "\n".join([*health_lines(nasty), *running_lines(replace(ELSEWHERE, health=nasty), ours=True, stop_key="x")])
    assert "\x1b" not in text and "x stops it" in text
