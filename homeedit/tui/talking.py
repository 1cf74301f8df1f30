"""The one talk with the models that the app holds open, and the threads that listen to it."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from homeedit.household import Household
from homeedit.household.results import Reply

if TYPE_CHECKING:
    from homeedit.household.talking import Talk

_TELL_SECONDS = 0.05


class Talker:
    """Asks in the thread that calls. The models are loaded by the first question and stay until ``close``."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._opening = threading.Lock()
        self._open = ExitStack()
        self._talk: Talk | None = None

    def answer(
        self, question: str, base: bool, stopped: threading.Event, tell: Callable[[Reply], None]
    ) -> Reply | None:
        """Tell the answer as it grows, at most twenty times a second; the last reply, if any came.

        It ends early, the model too, when ``stopped`` is set. Raises HomeEditError as ``Talk.stream`` does.
        """
        replies = self._opened().stream(question, base=base)
        last: Reply | None = None
        told = 0.0
        try:
            for last in replies:
                if stopped.is_set():
                    break
                if last.done or last.tokens <= 1 or time.monotonic() - told >= _TELL_SECONDS:
                    told = time.monotonic()
                    tell(last)
        finally:
            replies.close()
        return last

    def _opened(self) -> "Talk":
        with self._opening:
            if self._talk is None:
                self._talk = self._open.enter_context(self._household.talk())
            return self._talk

    def close(self) -> None:
        """Free the models; an answer that is being given ends where it is. May wait for a model that loads."""
        with self._opening:
            self._talk = None
            self._open.close()
