"""Notices that another build is to be served, and brings it to life without a request failing."""

import logging
import threading
import traceback
from collections.abc import Callable

from homeedit.errors import HomeEditError
from homeedit.household.serving.models import Models, Voices
from homeedit.household.serving.sources import Mark, Source, active_source, mark, source_of, to_serve, without_home
from homeedit.household.workspace import Workspace

LOOK_SECONDS = 0.2
"""How often the home is looked at."""

_SHORT_OF_MEMORY = "There is too little memory for two models at once: builds are exchanged with a pause."

_log = logging.getLogger("homeedit.serving")


class Stopping(Exception):
    """The server is going down; what was to be done between two answers will not be."""


Between = Callable[[Callable[[], None]], None]
"""Has something done by the worker between two answers, and waits for it. Raises what it raises, or Stopping."""


class Watcher:
    """A thread that looks at the home and exchanges the models when the home says so.

    It is as important as those who answer: told to work only where nothing else wants a core, it takes a few seconds
    for what costs a tenth of one, disturbs the answers more in all, and may be stopped while it holds what all threads
    need to get memory (measured: one token after 2.5 seconds).
    """

    def __init__(
        self, workspace: Callable[[], Workspace], models: Models, between: Between, *, live_lora: bool = False
    ) -> None:
        self._workspace = workspace
        self._home = workspace().home.root
        self._models = models
        self._between = between
        self._live_lora = live_lora
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="homeedit builds", daemon=True)
        self._seen: Mark = ()
        self.problem = ""
        """Why what the home says is not what is served; empty when it is."""
        self.note = ""

    def load_first(self) -> None:
        """Load what the home says, or (with the reason in ``problem``) the newest older build that loads.

        Raises:
            HomeEditError: nothing loads; the reason is that of what the home says.
        """
        workspace = self._workspace()
        self._seen = mark(workspace)
        base = workspace.base()
        first: HomeEditError | None = None
        for number in to_serve(base):
            try:
                self._load(source_of(base, number, live_lora=self._live_lora))
            except HomeEditError as error:
                first = first or error
                continue
            self.problem = self._refused(first) if first else ""
            return
        raise first or HomeEditError("There is nothing to serve.")

    def _load(self, source: Source) -> None:
        voices = self._models.prepare(source)
        try:
            self._models.switch(voices)
        except HomeEditError:
            self._models.retire(voices)
            raise

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self.look()
            except Stopping:
                return

    def look(self) -> None:
        """Follow the home if it has changed. What cannot be served is tried again when it changes once more."""
        try:
            workspace = self._open()
            if self._has_changed(workspace):
                self._follow(active_source(workspace, live_lora=self._live_lora))
        except Stopping:
            raise
        except HomeEditError as error:
            self.problem = self._refused(error)
        except Exception as error:
            # The thread lives on: the next change of the home may be one that it can follow.
            _log.debug("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
            unexpected = HomeEditError(f"What the home says to serve could not be loaded ({type(error).__name__}).")
            self.problem = self._refused(unexpected)

    def _open(self) -> Workspace:
        try:
            return self._workspace()
        except HomeEditError:
            self._seen = ()  # a settings file that was mended is a change
            raise

    def _has_changed(self, workspace: Workspace) -> bool:
        seen, self._seen = self._seen, mark(workspace)
        return seen != self._seen

    def _follow(self, source: Source) -> None:
        before = self._models.voices
        if source == before.served.source:
            self.problem = ""
            return
        voices = self._models.prepare(source)
        try:
            self._exchange(voices)
        except BaseException:
            self._models.retire(voices)
            raise
        self.problem = ""
        self._models.retire(before)

    def _exchange(self, voices: Voices) -> None:
        if self._models.fits_beside(voices):
            self._models.load_beside(voices)
            self._between(lambda: self._models.switch(voices))
            self.note = ""
        else:
            self.note = _SHORT_OF_MEMORY
            self._between(lambda: self._models.switch_with_pause(voices))

    def _refused(self, error: HomeEditError) -> str:
        why = without_home(error.message, self._home)
        return f"{why} Until that is mended, {self._models.voices.served.source.words} is served."
