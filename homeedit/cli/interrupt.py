"""Ctrl-C and SIGTERM: stop at once, and within two seconds whatever the process is doing.

Python runs a signal handler only between two instructions, and one call into torch or llama.cpp can last
longer than that. So the signal's number is also written to a socket by the C level handler; a thread waits
there and, if the ordinary way out takes too long, ends the process. That is safe because a home stays
consistent when a process is killed at any moment.
"""

import os
import signal
import socket
import sys
import threading
import time
from types import FrameType

PATIENCE_SECONDS = 1.0
STOPPED = "Stopped. Nothing that you typed is lost, and the build that was served before is untouched."
NEXT = "Run the command again to continue."


class Stopped(BaseException):
    """The person asked to stop. Not an Exception, so that no library takes it for a failure of its own."""


def say_stopped() -> None:
    """Tell the person, on stderr; a terminal gets back the cursor that a progress bar has hidden."""
    cursor = "\x1b[?25h\r\x1b[K" if sys.stderr.isatty() else ""
    os.write(2, f"{cursor}{STOPPED}\n{NEXT}\n".encode())


def patient() -> None:
    """End the process no more by force: a server takes its time to finish its answers. ``Stopped`` is still raised."""
    signal.set_wakeup_fd(-1)


def install() -> None:
    """Make SIGINT and SIGTERM raise ``Stopped`` in the main thread, and see to it that the process ends."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)

    def raise_stopped(number: int, frame: FrameType | None) -> None:
        signal.signal(number, end_now)
        raise Stopped()

    def end_now(number: int, frame: FrameType | None) -> None:
        os._exit(1)

    def watch() -> None:
        with sender:
            while receiver.recv(1)[0] not in (signal.SIGINT, signal.SIGTERM):
                pass
            time.sleep(PATIENCE_SECONDS)
            say_stopped()
            os._exit(1)

    signal.signal(signal.SIGINT, raise_stopped)
    signal.signal(signal.SIGTERM, raise_stopped)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=watch, name="stop", daemon=True).start()
