"""Groups of rows on a processor's cores."""

import threading
from collections.abc import Iterator, Sequence

import pytest
import torch

from homeedit.editing.workers import GROUP_TOKENS, LEAST_TOKENS, TOKENS_AT_ONCE, workers_on

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_each_core_has_a_group_and_results_come_in_order() -> None:
    torch.set_num_threads(2)
    together = threading.Barrier(2, timeout=30)

    def work(group: Sequence[int]) -> tuple[int, int]:
        together.wait()  # breaks, unless two are at work at once
        return sum(group), torch.get_num_threads()

    with workers_on(CPU) as workers:
        assert list(workers.map(work, [[1, 2], [3], [4, 5], [6]])) == [(3, 1), (3, 1), (9, 1), (6, 1)]
    assert torch.get_num_threads() == 2


def test_cores_without_a_group_of_their_own_help_with_the_others() -> None:
    torch.set_num_threads(4)
    with workers_on(CPU) as workers:
        assert list(workers.map(lambda _: torch.get_num_threads(), [[1], [2]])) == [2, 2]
        assert list(workers.map(lambda _: torch.get_num_threads(), [[1], [2], [3]])) == [1, 1, 1]
        assert list(workers.map(lambda _: 1, [])) == []
    assert torch.get_num_threads() == 4


def test_groups_get_smaller_with_the_cores_so_that_memory_does_not_grow() -> None:
    for threads in (1, 2, 4, 8, 64):
        torch.set_num_threads(threads)
        with workers_on(CPU) as workers:
            assert LEAST_TOKENS <= workers.tokens <= GROUP_TOKENS
            assert workers.tokens * threads <= max(TOKENS_AT_ONCE, LEAST_TOKENS * threads)


def test_one_core_and_a_gpu_need_no_pool() -> None:
    torch.set_num_threads(1)
    with workers_on(CPU) as one:
        assert one.pool is None
    torch.set_num_threads(2)
    with workers_on(torch.device("cuda")) as gpu:
        assert gpu.pool is None and gpu.tokens > GROUP_TOKENS


def test_what_a_group_raises_is_raised_and_threads_are_given_back() -> None:
    torch.set_num_threads(2)

    def work(group: Sequence[int]) -> None:
        if group == [2]:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"), workers_on(CPU) as workers:
        list(workers.map(work, [[1], [2], [3]]))
    assert torch.get_num_threads() == 2
