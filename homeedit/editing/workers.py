"""Groups of rows on a processor's cores: a core takes a group, instead of all cores one group together.

A compile's groups are small, and an operation on a small group does not keep several cores busy: a step over 740 tokens
of SmolLM2 takes 1.02 s when two cores share each group of 512 tokens, .82 s for groups of 256, and .67 s when each core
has a group of 256 to itself (one core alone: 1.2 s).
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

_Result = TypeVar("_Result")

GROUP_TOKENS = 256
"""Padded tokens of a group on the CPU."""
DEVICE_TOKENS = 512
"""Padded tokens of a group on a GPU, which takes one after the other."""
FORWARD, DEVICE_FORWARD = 2, 8
"""How much larger groups are, there and there, of which nothing is kept for a backward pass."""
MOST_WORKERS = 4
"""Groups at work at once: each holds its activations. More cores share them."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Who works on groups; without a ``pool`` the thread that asks, on one after the other. ``tokens``: of a group at
    most, padded; ``forward``: of one that is not sent back. ``workers`` threads of the pool have ``threads`` cores
    together."""

    tokens: int = DEVICE_TOKENS
    forward: int = DEVICE_FORWARD * DEVICE_TOKENS
    pool: ThreadPoolExecutor | None = None
    workers: int = 1
    threads: int = 1

    def map(self, function: Callable[[Sequence[int]], _Result], groups: Iterable[Sequence[int]]) -> Iterator[_Result]:
        """The function's results for the groups, in their order; raises what it raises.

        At most ``workers`` are under way at once, and at most twice as many with those that are there or wait, so that
        nobody waits for a result that is due earlier. What the function computes must not depend on the thread it runs
        in; the results do not depend on how many workers there are, as long as each has one core.
        """
        waiting = list(groups)
        if self.pool is None or len(waiting) < 2:
            return map(function, waiting)
        return self._beside_each_other(self.pool, function, waiting)

    def _beside_each_other(
        self, pool: ThreadPoolExecutor, function: Callable[[Sequence[int]], _Result], groups: Sequence[Sequence[int]]
    ) -> Iterator[_Result]:
        each = max(1, self.threads // min(self.workers, len(groups)))

        def run(group: Sequence[int]) -> _Result:
            if torch.get_num_threads() != each:
                torch.set_num_threads(each)
            return function(group)

        under_way: deque[Future[_Result]] = deque()
        try:
            for group in groups:
                if len(under_way) == 2 * self.workers:
                    yield under_way.popleft().result()
                under_way.append(pool.submit(run, group))
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


@contextmanager
def workers_on(device: torch.device) -> Iterator[Workers]:
    """Workers for a device: on the CPU one for each of torch's threads, up to ``MOST_WORKERS``, elsewhere one."""
    if device.type != "cpu":
        yield Workers()
        return
    threads = torch.get_num_threads()
    if threads == 1:
        yield Workers(GROUP_TOKENS, FORWARD * GROUP_TOKENS)
        return
    workers = min(threads, MOST_WORKERS)
    try:
        with ThreadPoolExecutor(workers, "rows") as pool:
            yield Workers(GROUP_TOKENS, FORWARD * GROUP_TOKENS, pool, workers, threads)
    finally:
        # torch remembers the last number that any thread asked for.
        torch.set_num_threads(threads)
