"""How a process of homeedit's own is set up, before it loads the libraries that compute."""

import gc
import os

SPIN_COUNT = "30000"
NEW_OBJECTS = 20_000


def set_up_process() -> None:
    """Call first in the command line's process, and in one that a face starts for long work.

    By default the threads of torch and llama.cpp spin long while they wait for each other; when another program wants
    the same cores, that makes work take ten times as long. A short spin costs nothing then, and nothing measurable on
    an idle machine. It is read when those libraries are loaded.

    What torch and transformers make when they are imported stays. To look through it for garbage at every 700 new
    objects, as is Python's habit, takes .5 of the 3 seconds of importing them.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    gc.set_threshold(NEW_OBJECTS)
