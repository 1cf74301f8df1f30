"""How a process of homeedit's own is set up, before it loads the libraries that compute."""

import atexit
import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

SPIN_COUNT = "30000"
NEW_OBJECTS = 20_000
HEAPS = 1

_M_ARENA_MAX = -8


def set_up_process() -> None:
    """Call first in the command line's process, and in one that a face starts for long work.

    By default the threads of torch and llama.cpp spin long while they wait for each other; when another program wants
    the same cores, that makes work take ten times as long. A short spin costs nothing then, and nothing measurable on
    an idle machine. It is read when those libraries are loaded.

    What libraries make when they are imported stays. To look through it for garbage at every 700 new objects, as is
    Python's habit, takes .5 of the 3 seconds of importing torch and transformers, and more while they work.

    For the same reason nothing is looked through when the process ends: with torch loaded, that takes a second.

    All threads share one heap. By default glibc gives each a heap of its own, as soon as it has something to hold, and
    that keeps what its thread held at most: .05 GB of a compile's peak on two cores, and no time.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    gc.set_threshold(NEW_OBJECTS)
    atexit.register(gc.freeze)
    # Another C library has no such function; Windows cannot name its own.
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, HEAPS)


@contextmanager
def importing_libraries() -> Iterator[None]:
    """Import what computes in here, where a person waits for it: nothing is looked through for garbage meanwhile, and
    what there is then never again.

    So importing torch and transformers takes 2.35 s instead of 2.6 to 3.2, and giving memory back after a compile .2 s
    less. That holds for all that the process has made so far, so it is for one that ends after its work. Where nothing
    new is imported, nothing is set aside: what is garbage by then would never be found.
    """
    was_enabled, before = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        if was_enabled:
            gc.enable()
