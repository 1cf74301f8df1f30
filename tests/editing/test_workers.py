"""Groups of rows on a processor's cores."""

import threading
from collections.abc import Iterator, Sequence

import pytest
import torch

from homeedit.editing.workers import GROUP_TOKENS, MOST_WORKERS, workers_on

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


def test_results_that_nobody_asks_for_are_not_heaped_up() -> None:
    torch.set_num_threads(8)
    begun: list[int] = []
    with workers_on(CPU) as workers:
        found = workers.map(lambda group: begun.append(group[0]), [[number] for number in range(20)])
        next(found)
        assert len(begun) <= 2 * MOST_WORKERS, "what is not asked for waits"
        assert len(list(found)) == 19 and len(begun) == 20


def test_a_core_does_not_wait_for_a_slower_one() -> None:
    torch.set_num_threads(2)
    third = threading.Event()

    def work(group: Sequence[int]) -> int:
        if group == [3]:
            third.set()
        assert group != [1] or third.wait(30), "the third group is begun while the first is under way"
        return group[0]

    with workers_on(CPU) as workers:
        assert list(workers.map(work, [[1], [2], [3]])) == [1, 2, 3]


def test_a_group_alone_has_all_cores() -> None:
    torch.set_num_threads(3)
    with workers_on(CPU) as workers:
        assert list(workers.map(lambda _: (threading.current_thread(), torch.get_num_threads()), [[1]])) == [
            (threading.current_thread(), 3)
        ]


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
