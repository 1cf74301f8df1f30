"""What a compile keeps from growing beside its tensors: the C library's heap and oneDNN's cache of kernels."""

import ctypes
import gc
import os
from contextlib import suppress

KERNELS = 128
"""Kernels that oneDNN keeps. It makes one for every shape it meets, 300 kB each, and keeps 1,024; groups of rows have
hundreds of shapes, and making one takes as long as using it once."""
MAPPED = 1 << 20
"""Bytes from which a tensor gets memory of its own, given back when it is freed. glibc raises this to 32 MiB with the
first large tensor that is freed, and then small lasting ones pin what large passing ones left behind."""

_M_MMAP_THRESHOLD = -3


def keep_small() -> None:
    """For this process, from now on. Call before the first product of matrices; oneDNN reads its setting then."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(KERNELS))
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MAPPED)


def give_back() -> None:
    """Give back what was used. A model refers to itself in circles, and what Python frees glibc keeps: without
    this the next round would begin on top of the last one's gigabyte."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
