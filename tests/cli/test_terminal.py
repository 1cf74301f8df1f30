"""The app's entry points: in a terminal, in a browser, and neither."""

import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeedit.cli import terminal
from homeedit.settings import Home
from tests.cli.conftest import CommandLine

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 30.0
ALTERNATE_SCREEN_LEFT = b"\x1b[?1049l"


class InTerminal:
    """A command in a terminal of 80 by 24, and what it wrote there."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self._terminal, inner = pty.openpty()
        os.set_blocking(self._terminal, False)
        import fcntl
        import struct
        import termios

        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "homeedit", *arguments],
            cwd=ROOT,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", **environment},
        )
        os.close(inner)
        self.written = b""

    def wait_for(self, text: bytes) -> None:
        """Read until the text was written."""
        end = time.monotonic() + PATIENCE_SECONDS
        while text not in self.written:
            assert time.monotonic() < end, self.written[-2000:]
            self._read()

    def wait_for_end(self) -> int:
        """Read until the process ended; its exit code."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < end, self.written[-2000:]
            self._read()
        self._read()
        return self.process.returncode

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self._terminal, keys)

    def _read(self) -> None:
        ready, _, _ = select.select([self._terminal], [], [], 0.1)
        if ready:
            try:
                self.written += os.read(self._terminal, 65536)
            except OSError:
                time.sleep(0.05)

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)


@pytest.fixture
def opened(home: Home) -> Iterator[InTerminal]:
    """The app on a home, with its first frame drawn."""
    app = InTerminal("--home", str(home.root))
    try:
        app.wait_for(b"Facts")
        yield app
    finally:
        app.close()


def test_alone_in_a_terminal_it_opens_the_app_and_ctrl_q_leaves_it(opened: InTerminal) -> None:
    opened.wait_for(b"Help")
    opened.press(b"\x11")
    assert opened.wait_for_end() == 0
    assert ALTERNATE_SCREEN_LEFT in opened.written


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_ended_from_outside_it_gives_the_terminal_back(opened: InTerminal, number: int) -> None:
    opened.wait_for(b"Help")
    opened.process.send_signal(number)
    assert opened.wait_for_end() == 1
    assert ALTERNATE_SCREEN_LEFT in opened.written


def test_a_terminal_on_one_side_only_gets_the_help(homeedit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert not terminal.can_open()
    assert "compile" in homeedit("--json").out


def test_a_browsers_page_stands_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert not terminal.can_open()
    monkeypatch.setenv("TEXTUAL_DRIVER", "textual.drivers.web_driver:WebDriver")
    assert terminal.can_open()


@pytest.mark.parametrize("arguments", [["--help"], [], ["fact", "list", "--json"], ["web", "--help"]])
def test_commands_do_not_load_textual(home: Home, arguments: list[str]) -> None:
    report = (
        "import sys\nfrom homeedit.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit as leaving:\n"
        "    heavy = [name for name in ('textual', 'torch', 'llama_cpp', 'aiohttp') if name in sys.modules]\n"
        "    print(leaving.code, *heavy, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", report, "--home", str(home.root), *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr.split() == ["0"]


def test_web_without_its_package_says_how_to_install_it(homeedit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ended = homeedit("web", code=1)
    assert "textual-serve" in ended.err and "pip install 'homeedit[web]'" in ended.err


def test_web_opens_the_app_on_the_same_home_on_this_machine_only(
    homeedit: CommandLine, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("textual_serve")
    served: list[tuple[str, str, int]] = []
    monkeypatch.setattr("homeedit.cli.browser.serve", lambda *given: served.append(given))
    ended = homeedit("--device", "cpu", "web", "--port", "8123")
    ((command, host, port),) = served
    assert (host, port) == ("127.0.0.1", 8123) and "http://127.0.0.1:8123" in ended.err
    assert shlex.split(command)[1:] == ["-m", "homeedit", "--home", str(home.root), "--device", "cpu"]
    assert "No such option" in homeedit("web", "--host", "0.0.0.0", code=2).err


def test_a_page_answers_its_own_address_only() -> None:
    pytest.importorskip("textual_serve")
    import asyncio

    from aiohttp.test_utils import TestClient, TestServer

    from homeedit.cli.browser import LocalServer

    async def asked(**headers: str) -> tuple[int, str]:
        server = TestServer(await LocalServer("true", host="127.0.0.1", port=8000)._make_app())
        async with TestClient(server) as client:
            answer = await client.get("/", headers=headers, allow_redirects=False)
            return answer.status, answer.headers.get("Content-Security-Policy", "")

    status, policy = asyncio.run(asked(Host="127.0.0.1:8000"))
    assert status == 200 and "default-src 'self'" in policy and "google" not in policy
    assert asyncio.run(asked(Host="127.0.0.1:8000", Origin="http://127.0.0.1:8000"))[0] == 200
    assert asyncio.run(asked(Host="127.0.0.1:8000", Origin="http://evil.example"))[0] == 403
    assert asyncio.run(asked(Host="evil.example:8000"))[0] == 403
    assert asyncio.run(asked(Host="localhost:8000"))[0] == 302


def test_a_port_that_is_taken_is_named() -> None:
    pytest.importorskip("textual_serve")
    import socket

    from homeedit.cli.browser import serve
    from homeedit.errors import HomeEditError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(HomeEditError, match="cannot be used"):
            serve("true", "127.0.0.1", taken.getsockname()[1])
