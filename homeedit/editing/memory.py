"""What a compile keeps from growing beside its tensors: the C library's heap and oneDNN's cache of kernels."""

import ctypes
import gc
import os
from contextlib import suppress

KERNELS = {"LRU_CACHE_CAPACITY": 32, "ONEDNN_PRIMITIVE_CACHE_CAPACITY": 128}
"""Kernels that torch keeps (in every thread) and that oneDNN does, as their environment variables. Each makes one for
every shape it meets and would keep 1,024: .2 GB in the first 80 groups of rows, which have hundreds of shapes. Making
one takes .5 ms, and the layers of a group share theirs."""
MAPPED = 1 << 20
"""Bytes from which a tensor gets memory of its own, given back when it is freed. glibc raises this to 32 MiB with the
first large tensor that is freed, and then small lasting ones pin what large passing ones left behind."""

_M_MMAP_THRESHOLD = -3


def keep_small() -> None:
    """For this process, from now on. Call before the first product of matrices: the settings are read then."""
    for name, count in KERNELS.items():
        os.environ.setdefault(name, str(count))
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MAPPED)


def give_back() -> None:
    """Give back what was used. A model refers to itself in circles, and what Python frees glibc keeps: without
    this the next round would begin on top of the last one's gigabyte."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
