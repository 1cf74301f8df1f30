"""A real terminal for the app: tmux, told what to type and asked what it shows."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path


class Terminal:
    """A tmux server of its own with one program in it."""

    def __init__(self, folder: Path, command: list[str], *, width: int = 120, height: int = 40) -> None:
        self._socket = str(folder / "tmux")
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), *command)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(["tmux", "-S", self._socket, *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names, one after the other."""
        for key in keys:
            self._tmux("send-keys", key)
            time.sleep(0.2)

    def write(self, text: str) -> None:
        """Type a text as it is."""
        self._tmux("send-keys", "-l", text)

    def screen(self) -> str:
        """What stands on the screen; nothing once the program has ended."""
        try:
            return self._tmux("capture-pane", "-p")
        except subprocess.CalledProcessError:
            return ""

    def wait(self, condition: str | Callable[[str], bool], seconds: float = 20) -> str:
        """Wait until a text stands on the screen, or a condition of it holds; the screen."""
        end = time.monotonic() + seconds
        while True:
            shown = self.screen()
            if condition in shown if isinstance(condition, str) else condition(shown):
                return shown
            assert time.monotonic() < end, f"not on the screen within {seconds:.0f} s: {condition}\n{shown}"
            time.sleep(0.2)

    def close(self) -> None:
        """End the program, if it has not ended."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)
