"""What a compile keeps from growing beside its tensors: the C library's heap and oneDNN's cache of kernels."""

import ctypes
import gc
import os
from contextlib import suppress

import torch

KERNELS = {"LRU_CACHE_CAPACITY": 32, "ONEDNN_PRIMITIVE_CACHE_CAPACITY": 128}
"""How many kernels torch keeps in each thread, and oneDNN below it, by their environment variables. Both make one for
every shape they meet and would keep 1,024: .2 GB after 80 groups of rows, which have hundreds of shapes. Making one
takes .5 ms, and the layers of a group share theirs."""
MAPPED = 1 << 20
"""Bytes from which a tensor gets memory of its own, given back when it is freed. glibc raises this to 32 MiB with the
first large tensor that is freed, and then small lasting ones pin what large passing ones left behind."""

_M_MMAP_THRESHOLD = -3


def use_threads(threads: int) -> None:
    """Let torch compute with so many threads in this process, and keep no more memory than it must.

    Call before the first product of matrices: how many kernels are kept is read then.
    """
    torch.set_num_threads(threads)
    for name, count in KERNELS.items():
        os.environ.setdefault(name, str(count))
    with _without_glibc():
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, MAPPED)


def give_back() -> None:
    """Give back all that was used, also what refers to itself in circles (to look for it takes .2 s): llama.cpp, which
    verifies, shall not begin on top of a gigabyte."""
    gc.collect()
    trim()


def trim() -> None:
    """Give back what Python has freed and glibc keeps, such as the largest part of what preparing or a round used."""
    with _without_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _without_glibc() -> suppress:
    """Another C library has no such function; Windows cannot name its own."""
    return suppress(OSError, AttributeError, TypeError)
