"""Who is next: clients take turns, each with its oldest request."""

import threading
from collections import OrderedDict, deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """A bounded queue for several threads to fill and one to empty.

    A client that hands in many requests does not keep the others waiting: after each of its requests it is the turn
    of the client that waited longest for its own, and at most half of the room is for one. What is urgent goes before
    all clients, and always has room.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._changed = threading.Condition()
        self._urgent: deque[Item] = deque()
        self._clients: OrderedDict[str, deque[Item]] = OrderedDict()
        """Of each client that has requests, these; the client whose turn is next first."""
        self._waiting = 0
        self._closed = False

    def __len__(self) -> int:
        """How many requests of clients wait."""
        return self._waiting

    @property
    def closed(self) -> bool:
        """Whether nothing is taken in any more."""
        return self._closed

    def put(self, client: str, item: Item) -> bool:
        """Add a client's request; False when the queue is full, for all or for this client, or closed."""
        with self._changed:
            own = len(self._clients.get(client, ()))
            if self._closed or self._waiting >= self._room or own >= max(1, self._room // 2):
                return False
            self._clients.setdefault(client, deque()).append(item)
            self._waiting += 1
            self._changed.notify()
            return True

    def put_urgent(self, item: Item) -> bool:
        """Add what is to be taken before everything else; False when the queue is closed."""
        with self._changed:
            if not self._closed:
                self._urgent.append(item)
                self._changed.notify()
            return not self._closed

    def take(self) -> Item | None:
        """The next, as soon as there is one; None when the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._urgent or self._clients)
            if self._closed:
                return None
            return self._urgent.popleft() if self._urgent else self._take_turn()

    def _take_turn(self) -> Item:
        client, items = self._clients.popitem(last=False)
        item = items.popleft()
        if items:
            self._clients[client] = items  # behind all others
        self._waiting -= 1
        return item

    def remove(self, item: Item) -> bool:
        """Take a client's request out; False when it does not wait here (any more)."""
        with self._changed:
            for client, items in self._clients.items():
                if item in items:
                    items.remove(item)
                    if not items:
                        del self._clients[client]
                    self._waiting -= 1
                    return True
            return False

    def close(self) -> list[Item]:
        """Take nothing in any more, and end ``take``; returns all that waited."""
        with self._changed:
            self._closed = True
            left = [*self._urgent, *(item for items in self._clients.values() for item in items)]
            self._urgent.clear()
            self._clients.clear()
            self._waiting = 0
            self._changed.notify_all()
            return left
