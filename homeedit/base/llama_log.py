"""llama.cpp, imported without its talk on stderr and with threads that wait politely."""

import ctypes
import os
import sys
import threading
from typing import Any

_KEPT: list[Any] = []
"""The silent callback. llama.cpp keeps only the C pointer; were the Python object collected, the next line it
logs would call freed memory and crash the process. So it lives as long as this module."""

_IMPORTING = threading.Lock()
"""Two models may be loaded by two threads at once; the environment is changed and put back by one of them."""


def llama_library() -> Any:
    """The module ``llama_cpp``, its logging silenced for this process.

    It is imported with OMP_WAIT_POLICY=passive unless the environment sets it: by default the threads of
    llama.cpp spin while they wait for each other, and when another program wants the same cores, an answer
    that takes half a second then takes a minute (measured: 2 threads, 2 cores, one busy neighbour). The
    variable is read once, when the library is loaded, and is taken back so that torch does not see it.

    ``verbose=False`` is not used for that: it redirects the whole process's stdout and stderr for a moment
    and so swallows what other threads print.
    """
    with _IMPORTING:
        ours = "llama_cpp" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ
        if ours:
            os.environ["OMP_WAIT_POLICY"] = "passive"
        try:
            import llama_cpp
        finally:
            if ours:
                del os.environ["OMP_WAIT_POLICY"]
        if not _KEPT:

            def say_nothing(level: int, text: bytes, user_data: ctypes.c_void_p) -> None:
                """llama.cpp's failures are seen by their return values; its talk is not for people."""

            _KEPT.append(llama_cpp.llama_log_callback(say_nothing))
            llama_cpp.llama_log_set(_KEPT[0], ctypes.c_void_p(0))
    return llama_cpp
