"""Groups of rows on a processor's cores: a core takes a group, instead of all cores one group together.

A compile's groups are small, and an operation on a small group does not keep several cores busy: a step over 740 tokens
of SmolLM2 takes 1.02 s when two cores share each group of 512 tokens, .82 s for groups of 256, and .67 s when each core
has a group of 256 to itself (one core alone: 1.2 s).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

_Result = TypeVar("_Result")

GROUP_TOKENS = 256
"""Padded tokens of a group that a core takes forward and backward."""
TOKENS_AT_ONCE = 1024
"""Of all cores' groups together: more cores take smaller groups, so that memory does not grow with them."""
LEAST_TOKENS = 64
DEVICE_TOKENS = 512
"""Padded tokens of a group on a GPU, which takes one after the other."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Who works on groups; without a ``pool`` the thread that asks, on one after the other. ``tokens``: of a group at
    most, padded."""

    tokens: int = DEVICE_TOKENS
    pool: ThreadPoolExecutor | None = None
    threads: int = 1

    def map(self, function: Callable[[Sequence[int]], _Result], groups: Iterable[Sequence[int]]) -> Iterator[_Result]:
        """The function's results for the groups, in their order; raises what it raises.

        What it computes must not depend on the thread it runs in; sums over groups, taken from what is returned here,
        are then the same to the last bit for any number of threads not above the number of groups.
        """
        if self.pool is None:
            return map(function, groups)
        waiting = list(groups)
        each = max(1, self.threads // max(1, len(waiting)))

        def run(group: Sequence[int]) -> _Result:
            torch.set_num_threads(each)
            return function(group)

        return self.pool.map(run, waiting)


@contextmanager
def workers_on(device: torch.device) -> Iterator[Workers]:
    """Workers for a device: on the CPU as many as torch has threads, elsewhere one."""
    threads = torch.get_num_threads()
    if device.type != "cpu":
        yield Workers()
        return
    tokens = max(LEAST_TOKENS, min(GROUP_TOKENS, TOKENS_AT_ONCE // threads))
    if threads == 1:
        yield Workers(tokens)
        return
    try:
        with ThreadPoolExecutor(threads, "rows") as pool:
            yield Workers(tokens, pool, threads)
    finally:
        # torch remembers the last number that any thread asked for.
        torch.set_num_threads(threads)
