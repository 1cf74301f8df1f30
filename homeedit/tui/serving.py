"""The server that the app may start: a process of its own, which ends with the app."""

import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

_KEPT_LINES = 40
_STOP_SECONDS = 8.0
"""For running answers to end; the server itself waits for them a little less."""


def server_command(home: Path, port: int) -> list[str]:
    """The command line of a server for this machine that stops when its stdin ends."""
    start = [sys.executable, "-m", "homeedit", "--home", str(home.absolute())]
    return [*start, "serve", "--port", str(port), "--until-stdin-ends", "--json"]


class ServerProcess:
    """At most one server. ``tell`` is called, in another thread, when it is ready and when it has ended."""

    def __init__(self, command: Callable[[Path, int], list[str]] = server_command) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._stopping = False
        self.ready = False
        """Whether it listens."""
        self.port = 0
        self.failure = ""
        """What it said last, if it ended without being asked to."""

    @property
    def pid(self) -> int | None:
        """The number of the process, None when none runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, home: Path, port: int, tell: Callable[[], None]) -> None:
        """Start it, unless it runs. Raises OSError when no process can be started."""
        if self.pid is not None:
            return
        self.ready, self._stopping, self.failure, self.port = False, False, "", port
        self._lines.clear()
        self._process = process = subprocess.Popen(
            self._command(home, port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        talk = threading.Thread(target=self._listen, args=(process,), name="server's talk", daemon=True)
        talk.start()
        threading.Thread(target=self._follow, args=(process, talk, tell), name="server", daemon=True).start()

    def stop(self, patience: float = _STOP_SECONDS) -> None:
        """Ask it to stop, and end it if that takes too long. Waits; harmless when none runs."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        self._stopping = True
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self._lines.append(line.strip())

    def _follow(self, process: "subprocess.Popen[str]", talk: threading.Thread, tell: Callable[[], None]) -> None:
        """Wait for its one line of JSON, then for its end."""
        assert process.stdout is not None and process.stdin is not None
        if process.stdout.readline():
            self.ready = True
            tell()
        code = process.wait()
        talk.join(1.0)
        for stream in (process.stdin, process.stdout, process.stderr):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        if process is not self._process:
            return  # another was started meanwhile, and what is known is of that one
        self.ready = False
        if not self._stopping:
            self.failure = _why(code, [line for line in self._lines if line])
        tell()


def _why(code: int, said: Sequence[str]) -> str:
    """Why a server ended that was not asked to. Only one that failed says so in its last words: message and hint."""
    if code < 0:
        return f"something killed it (signal {-code}); what it serves is safe."
    if code == 0:
        return "it was stopped from elsewhere."
    return " ".join(said[-2:]) or f"It ended without a word (exit code {code})."
