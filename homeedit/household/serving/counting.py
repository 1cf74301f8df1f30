"""What the server has done since it started: numbers only, nothing of what was said."""

import threading
from dataclasses import dataclass, field

from homeedit.household.serving.requests import Ended, Failed


@dataclass(slots=True)
class Counts:
    """Counters that one thread changes while others read them; each is right on its own."""

    requests: int = 0
    failed: int = 0
    cancelled: int = 0
    running: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    speaking_seconds: float = 0.0
    recent_tokens_per_second: float = 0.0
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def came(self) -> None:
        """A request was handed in."""
        with self._changing:
            self.requests += 1

    def went(self, event: Ended | Failed) -> None:
        """A request has had its last event."""
        with self._changing:
            if isinstance(event, Failed):
                self.failed += 1
                return
            self.cancelled += event.reason == "cancelled"
            self.prompt_tokens += event.prompt_tokens
            self.answer_tokens += event.answer_tokens
            self.speaking_seconds += event.speaking
            # From the first token to the last there is one step less than tokens.
            if event.answer_tokens > 1 and event.speaking > 0:
                self.recent_tokens_per_second = (event.answer_tokens - 1) / event.speaking
