"""The two models that answer: loaded when they are needed, exchanged as a pair, freed when nothing uses them.

Who may do what: the watcher's thread prepares and loads what is to come and frees what went; the worker's thread
alone asks models and switches, between two answers. Anyone may read ``voices`` and ``listed``, at any time.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from homeedit.base.store import BaseModel
from homeedit.errors import HomeEditError
from homeedit.household.serving.requests import BASE, SERVED, ServedModel
from homeedit.household.serving.sources import Source, base_source
from homeedit.household.workspace import disk_errors_in_words
from homeedit.runtime.llama import ModelMetadata, Runtime
from homeedit.runtime.vocabulary import Vocabulary

_MARGIN = 192 * 2**20
"""Bytes that must stay free beside a second model: its buffers for one batch, and room for everything else."""

_CONTAINER = Path("/sys/fs/cgroup")
"""Where Linux tells a container what it may use."""

_log = logging.getLogger("homeedit.serving")


class SharedVocabulary:
    """The vocabulary of a base and all its builds, loaded with the first of them: a build is its base's file with
    some tensors exchanged, and what a load takes is taken from those who are answered meanwhile."""

    def __init__(self, base: BaseModel | None = None) -> None:
        self.base = base
        self._loading = threading.Lock()
        self._loaded: Vocabulary | None = None

    def loaded(self) -> Vocabulary | None:
        """The vocabulary; None if the base's file is damaged: a model then loads its own."""
        with self._loading:
            if self._loaded is None and self.base is not None:
                with suppress(HomeEditError):
                    self._loaded = Vocabulary.of_file(self.base.gguf)
            return self._loaded


class SharedModel:
    """A GGUF that several voices may use: in memory from its first use until ``close``, with an adapter or without.

    It can be loaded by one thread while another waits for it. When it was closed, the next use loads it again.
    """

    def __init__(
        self, source: Source, threads: int, context: int, gpu_layers: int, vocabulary: SharedVocabulary
    ) -> None:
        self.key = (source.gguf, source.changed)
        self._threads, self._context, self._gpu_layers, self._vocabulary = threads, context, gpu_layers, vocabulary
        self._loading = threading.Lock()
        self._runtime: Runtime | None = None
        self._adapter: Path | None = None

    @property
    def loaded(self) -> bool:
        """Whether it is in memory."""
        return self._runtime is not None

    def load(self) -> Runtime:
        """The model, warm; raises HomeEditError when its file is missing or damaged, or memory is short."""
        with self._loading:
            if self._runtime is None:
                gguf, _ = self.key
                runtime = Runtime(
                    gguf,
                    threads=self._threads,
                    context=self._context,
                    gpu_layers=self._gpu_layers,
                    vocabulary=self._vocabulary.loaded(),
                )
                try:
                    runtime.warm()
                except BaseException:
                    runtime.close()
                    raise
                self._runtime = runtime
            return self._runtime

    @contextmanager
    def on_fewer_cores(self) -> Iterator[None]:
        """Meanwhile it answers with one thread less, if it is in memory and has several."""
        runtime = self._runtime
        if runtime is None:
            yield
            return
        runtime.use_threads(self._threads - 1)
        try:
            yield
        finally:
            runtime.use_threads(self._threads)

    def ready(self, adapter: Path | None) -> Runtime:
        """The model with this adapter on it, or without one: for the thread that asks it."""
        runtime = self.load()
        if adapter != self._adapter:
            runtime.use_adapter(adapter)
            self._adapter = adapter
        return runtime

    def close(self) -> None:
        """Free the memory."""
        with self._loading:
            if self._runtime is not None:
                self._runtime.close()
            self._runtime = self._adapter = None


@dataclass(frozen=True, slots=True)
class Voice:
    """A model that answers: where it comes from, what is in memory of it, and the adapter to put on that."""

    source: Source
    model: SharedModel
    adapter: Path | None = None

    def ready(self) -> Runtime:
        """What answers; loaded if it is not."""
        return self.model.ready(self.adapter)


@dataclass(frozen=True, slots=True)
class Voices:
    """The model that is served, and its base: two voices, of one loaded model if they come from the same file."""

    served: Voice
    base: Voice

    @property
    def models(self) -> tuple[SharedModel, ...]:
        """What may be in memory, each once."""
        return tuple(dict.fromkeys((self.served.model, self.base.model)))


@dataclass(frozen=True, slots=True)
class _Description:
    """What clients are told of a model, as its file says it."""

    metadata: ModelMetadata
    tools: bool
    cache_bytes: int


class Models:
    """What is served, and what was prepared to be."""

    def __init__(self, *, threads: int, context: int, gpu_layers: int) -> None:
        self._threads, self._context, self._gpu_layers = threads, context, gpu_layers
        self._folder = tempfile.TemporaryDirectory(prefix="homeedit-adapters-")
        self._adapters = 0
        self._vocabulary = SharedVocabulary()
        self._voices: Voices | None = None
        self._base_was_asked = False
        self._described: _Description | None = None
        """Of the served model, and so of its base: a build is the base's file with some tensors exchanged."""
        self.since = 0.0
        self.swaps = 0

    @property
    def voices(self) -> Voices:
        """The pair that answers now."""
        if self._voices is None:
            raise HomeEditError("No model is loaded.")
        return self._voices

    def prepare(self, source: Source) -> Voices:
        """A pair that serves ``source``, its adapter written; what is already loaded is used again, nothing is loaded.

        Raises:
            HomeEditError: the build's change cannot be read, or its adapter cannot be written.
        """
        known = {model.key: model for model in self._voices.models} if self._voices else {}
        with disk_errors_in_words():
            base = base_source(source.base)
            served_model = known.get((source.gguf, source.changed)) or self._model(source)
            if served_model.key == (base.gguf, base.changed):
                base_model = served_model
            elif self._base_was_asked:
                base_model = known.get((base.gguf, base.changed)) or self._model(base)
            else:
                # Not the one that is in memory because it was served until now.
                base_model = self._model(base)
            adapter = None if source.delta is None else self._write_adapter(source, source.delta)
        return Voices(Voice(source, served_model, adapter), Voice(base, base_model))

    def fits_beside(self, voices: Voices) -> bool:
        """Whether there is memory for the served model of ``voices`` beside what is loaded."""
        if voices.served.model.loaded or self._voices is None:
            return True
        cache = self._described.cache_bytes if self._described else 0
        needed = voices.served.source.bytes + cache + _MARGIN
        return _available() >= needed

    def load_beside(self, voices: Voices) -> None:
        """Load the served model of ``voices`` while others are answered, and leave it a core for that. (On two cores
        two threads that compute and one that loads lose twice as much: those that compute wait for each other.)

        Raises:
            HomeEditError: its file is missing or damaged, or memory is short.
        """
        if voices.served.model.loaded:
            return
        with ExitStack() as meanwhile:
            for model in self.voices.models:
                meanwhile.enter_context(model.on_fewer_cores())
            voices.served.model.load()

    def switch(self, voices: Voices) -> None:
        """Answer with these from now on. For the worker, between two answers; the served model should be loaded.

        Raises:
            HomeEditError: its model or adapter cannot be used; everything is as it was.
        """
        runtime = voices.served.ready()
        described = _Description(runtime.metadata, runtime.supports_tools, runtime.cache_bytes)
        if self._voices is not None:
            self.swaps += 1
        self.since = time.time()
        self._voices, self._described = voices, described
        _log.info("%s is live.", voices.served.source.words.capitalize())

    def switch_with_pause(self, voices: Voices) -> None:
        """As ``switch``, where memory has no room for both: frees the old before it loads the new.

        When the new one cannot be used, the next question loads the old one again.
        """
        for model in self.voices.models:
            if model not in voices.models:
                model.close()
        self.switch(voices)

    def retire(self, voices: Voices) -> None:
        """Free what only ``voices`` used, and delete its adapter. They must have been switched away from, or
        not be in use yet."""
        used = self._voices
        for model in voices.models:
            if used is None or model not in used.models:
                model.close()
        adapter = voices.served.adapter
        if adapter is not None and (used is None or used.served.adapter != adapter):
            adapter.unlink(missing_ok=True)

    def ready(self, name: str) -> tuple[Voice, Runtime, float]:
        """The voice of this name, loaded, and the seconds that loading took. For the worker."""
        voice = self.voices.base if name == BASE else self.voices.served
        self._base_was_asked |= name == BASE
        was_loaded, started = voice.model.loaded, time.perf_counter()
        runtime = voice.ready()
        return voice, runtime, 0.0 if was_loaded else time.perf_counter() - started

    def listed(self) -> tuple[ServedModel, ...]:
        """Both models, as clients are told of them; from memory."""
        voices, described = self.voices, self._described
        if described is None:
            return ()
        return _listed(SERVED, voices.served, described), _listed(BASE, voices.base, described)

    def close(self) -> None:
        """Free everything; what was served can still be read."""
        for model in self._voices.models if self._voices else ():
            model.close()
        self._folder.cleanup()

    def _model(self, source: Source) -> SharedModel:
        if source.base != self._vocabulary.base:
            self._vocabulary = SharedVocabulary(source.base)
        return SharedModel(source, self._threads, self._context, self._gpu_layers, self._vocabulary)

    def _write_adapter(self, source: Source, delta: Path) -> Path | None:
        """The change of a build as an adapter; None when it changes nothing. Its name is new each time, because what
        is on a model is known by its path."""
        from homeedit.patches.export import write_gguf_lora
        from homeedit.patches.file import read_delta

        change = read_delta(delta)
        if not change:
            return None
        self._adapters += 1
        path = Path(self._folder.name) / f"{self._adapters}.gguf"
        write_gguf_lora(path, change, source.base)
        return path


def _available() -> int:
    """Bytes of memory that can be had; in a container not more than is left of what it may use, else it is killed."""
    machine = int(psutil.virtual_memory().available)
    try:
        limit, used = (int((_CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
        counts = dict(line.split() for line in (_CONTAINER / "memory.stat").read_text().splitlines())
        # Files that were read are counted as used, and given up when memory is asked for.
        return min(machine, limit - used + int(counts["inactive_file"]))
    except (OSError, ValueError, KeyError):  # no container, or one without a limit
        return machine


def _listed(name: str, voice: Voice, described: _Description) -> ServedModel:
    metadata, source = described.metadata, voice.source
    return ServedModel(
        name=name,
        build=source.build,
        gguf=str(source.gguf),
        bytes=source.bytes,
        digest=source.digest,
        modified=source.modified,
        architecture=metadata.architecture,
        parameters=metadata.parameters,
        quantization=metadata.quantization,
        context=metadata.context,
        loaded=voice.model.loaded,
        template=metadata.template,
        capabilities=("completion", "tools") if described.tools else ("completion",),
    )
