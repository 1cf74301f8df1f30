"""The fair queue: turns, room, cancelling, closing."""

import threading

from homeedit.household.serving.queue import FairQueue


def taken(queue: FairQueue[str]) -> list[str | None]:
    return [queue.take() for _ in range(len(queue))]


def test_clients_take_turns_each_with_its_oldest() -> None:
    queue: FairQueue[str] = FairQueue(64)
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        assert queue.put(item[0], item)
    assert taken(queue) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_a_client_that_comes_again_waits_for_all_others() -> None:
    queue: FairQueue[str] = FairQueue(64)
    for item in ("a1", "b1", "b2"):
        queue.put(item[0], item)
    order = []
    for number in range(2, 5):
        order.append(queue.take())
        queue.put("a", f"a{number}")
    assert order + taken(queue) == ["a1", "b1", "a2", "b2", "a3", "a4"]


def test_room_is_bounded_and_comes_back() -> None:
    queue: FairQueue[str] = FairQueue(2)
    assert queue.put("a", "a1") and queue.put("b", "b1") and not queue.put("c", "c1")
    assert len(queue) == 2
    assert queue.put_urgent("now") and len(queue) == 2
    assert queue.take() == "now" and not queue.put("c", "c1")
    assert queue.take() == "a1" and queue.put("c", "c1")
    assert taken(queue) == ["b1", "c1"]


def test_one_client_fills_half_of_the_room() -> None:
    queue: FairQueue[str] = FairQueue(4)
    assert [queue.put("a", item) for item in ("a1", "a2", "a3")] == [True, True, False]
    assert queue.put("b", "b1") and queue.take() == "a1" and queue.put("a", "a3")
    assert taken(queue) == ["b1", "a2", "a3"]


def test_what_is_removed_is_not_taken() -> None:
    queue: FairQueue[str] = FairQueue(4)
    for item in ("a1", "a2", "b1"):
        queue.put(item[0], item)
    assert queue.remove("b1") and not queue.remove("b1") and not queue.remove("never")
    assert queue.remove("a1") and len(queue) == 1
    assert taken(queue) == ["a2"]


def test_closing_ends_who_waits_and_returns_what_waited() -> None:
    queue: FairQueue[str] = FairQueue(4)
    found: list[str | None] = []
    waiting = threading.Thread(target=lambda: found.append(queue.take()))
    waiting.start()
    queue.put("a", "a1")
    waiting.join(30)
    assert found == ["a1"]
    waiting = threading.Thread(target=lambda: found.append(queue.take()))
    waiting.start()
    queue.close()
    waiting.join(30)
    assert found == ["a1", None]
    other: FairQueue[str] = FairQueue(4)
    other.put("a", "a1")
    other.put_urgent("now")
    assert other.close() == ["now", "a1"] and other.closed and len(other) == 0
    assert not other.put("a", "a2") and not other.put_urgent("later") and other.take() is None


def test_many_threads_lose_nothing() -> None:
    queue: FairQueue[str] = FairQueue(1000)
    clients = [
        threading.Thread(target=lambda name=name: [queue.put(name, f"{name}{n}") for n in range(100)])
        for name in "abcd"
    ]
    for client in clients:
        client.start()
    found = [queue.take() for _ in range(400)]
    for client in clients:
        client.join()
    assert sorted(map(str, found)) == sorted(f"{name}{n}" for name in "abcd" for n in range(100))
    for name in "abcd":
        assert [item for item in found if item and item[0] == name] == [f"{name}{n}" for n in range(100)]
