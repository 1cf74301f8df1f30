"""Several clients at once: who waits how long, what a swap adds to that, and what stays in memory."""

import itertools
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from serving_tools import Client, Row, Setting, Timing, homeedit_server, percentile, question

SHORT = 24
"""Tokens of an answer while several ask: enough to be a stream, few enough for a thousand of them."""
WAIT_MS, FAIR, TAGS_MS, GROWTH = 250.0, 1.3, 50.0, 0.02


class Crowd:
    """Clients that ask in a loop, each with one request under way; stopped by leaving. Each is another program to the
    server, or all are the one that is named."""

    def __init__(self, url: str, clients: int, program: str = "") -> None:
        self.done: list[Timing] = []
        self.failures: list[str] = []
        self._url = url
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        names = [program or f"client {number}" for number in range(clients)]
        self._threads = [threading.Thread(target=self._ask, args=(name,)) for name in names]

    def __enter__(self) -> "Crowd":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def until(self, condition: Callable[[], bool]) -> None:
        """Let them ask until something has happened."""
        while not condition() and len(self.failures) < 50:
            time.sleep(0.02)

    def _ask(self, program: str) -> None:
        client = Client(self._url, program)
        while not self._stop.is_set():
            try:
                self.done.append(client.stream(question(next(self._numbers)), SHORT))
            except Exception as error:
                self.failures.append(repr(error))
                client.close()
                time.sleep(0.1)
                client = Client(self._url, program)
        client.close()


def ahead_of(timings: Sequence[Timing]) -> dict[Timing, int]:
    """For each answer, how many others ended between its sending and its first token."""
    ends = sorted(timing.last for timing in timings)
    return {each: sum(each.sent < end < each.first for end in ends) for each in timings}


def settled(timings: Sequence[Timing], clients: int) -> list[Timing]:
    """Without the first and the last answers, which fewer clients were competing with."""
    ordered = sorted(timings, key=lambda timing: timing.sent)
    return ordered[clients : max(clients, len(ordered) - clients)]


def fair(setting: Setting) -> Iterator[Row]:
    """p95 of the time to the first token, against what it is when each of the others is answered once before."""
    count = max(6 * setting.clients, min(setting.requests, 160))
    with homeedit_server(setting.home) as (url, _):
        with Crowd(url, setting.clients) as crowd:
            crowd.until(lambda: len(crowd.done) >= count)
        with Crowd(url, 2 * setting.clients, "greedy") as greedy, Crowd(url, setting.clients - 1) as others:
            others.until(lambda: len(others.done) >= count)
    yield fair_row(f"{setting.clients} clients", crowd.done, crowd.done, setting.clients)
    every = greedy.done + others.done
    what = f"{setting.clients - 1} clients beside one with {2 * setting.clients} requests at a time"
    yield fair_row(what, others.done, every, setting.clients)
    failures = len(crowd.failures + greedy.failures + others.failures)
    yield Row(f"failures of {len(crowd.done + every)} requests", str(failures), "0", not failures)


def fair_row(what: str, asked: Sequence[Timing], every: Sequence[Timing], clients: int) -> Row:
    """``every``: all that the model answered meanwhile. ``clients``: who take turns."""
    found = settled(asked, clients)
    # The time from one end to the next: the model is never idle, so it is what one answer takes.
    ends = sorted(timing.last for timing in settled(every, clients))
    turn = (ends[-1] - ends[0]) / (len(ends) - 1)
    share = (clients - 1) * turn + min(timing.to_first for timing in every)
    waits = [timing.to_first for timing in found]
    ratio = percentile(waits, 0.95) / share
    words = f"{ratio:.2f} (p95 {percentile(waits, 0.95):.2f} s, fair {share:.2f} s, worst {max(waits):.2f} s)"
    return Row(f"{what}: p95 wait / fair share", words, f"<= {FAIR}", ratio <= FAIR)


@contextmanager
def tags_sampled(url: str) -> Iterator[list[float]]:
    """Milliseconds that /api/tags takes, asked each 20 ms from one connection."""
    found: list[float] = []
    stop = threading.Event()

    def sample() -> None:
        client = Client(url)
        while not stop.wait(0.02):
            began = time.perf_counter()
            client.get("/api/tags")
            found.append(1000 * (time.perf_counter() - began))
        client.close()

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def tags_row(what: str, found: Sequence[float]) -> Row:
    worst = percentile(found, 0.99)
    words = f"{worst:.1f} ms (median {statistics.median(found):.1f}, worst {max(found):.1f}, {len(found)} asked)"
    return Row(f"/api/tags p99 while {what}", words, f"<= {TAGS_MS:.0f} ms", worst <= TAGS_MS)


@dataclass(frozen=True)
class Swap:
    """From when another build was made the active one to when it was live, in seconds of ``time.perf_counter``."""

    asked: float
    live: float


class Swapping:
    """Makes one of two builds active after the other."""

    def __init__(self, setting: Setting, url: str) -> None:
        self._household = setting.household
        self._builds = itertools.cycle(setting.two_builds()[::-1])
        self._client = Client(url)
        self.swaps: list[Swap] = []
        self.late = 0

    def once(self) -> None:
        """The next build, and wait until it is live."""
        number = next(self._builds)
        asked = time.perf_counter()
        self._household.use(number)
        while time.perf_counter() < asked + 60:
            if self._client.get("/health")["build"] == number:
                self.swaps.append(Swap(asked, time.perf_counter()))
                return
            time.sleep(0.05)
        self.late += 1


def swap(setting: Setting) -> Iterator[Row]:
    """Requests and swaps together: failures, what a swap adds to a wait, memory."""
    with homeedit_server(setting.home) as (url, process):
        with Crowd(url, setting.clients) as calm:
            calm.until(lambda: len(calm.done) >= max(6 * setting.clients, setting.requests // 5))
        swapping = Swapping(setting, url)
        for _ in range(4):  # both builds were loaded, twice: what stays in memory is there
            swapping.once()
        swapping.swaps.clear()
        before = memory(process)
        with Crowd(url, setting.clients) as crowd:
            each = max(1, setting.requests // max(1, setting.swaps))
            for number in range(setting.swaps):
                crowd.until(lambda number=number: len(crowd.done) >= number * each)  # type: ignore[misc]
                swapping.once()
            crowd.until(lambda: len(crowd.done) >= setting.requests)
        if setting.swaps % 2:
            swapping.once()
        after = memory(process)
    yield from swap_rows(setting, calm, crowd, swapping)
    growth = after / before - 1
    words = f"{100 * growth:+.2f} % ({before / 2**20:.1f} → {after / 2**20:.1f} MiB)"
    what = f"memory (RSS) after {len(crowd.done)} requests, {len(swapping.swaps)} swaps"
    yield Row(what, words, f"<= {GROWTH:.0%}", growth <= GROWTH)


def memory(process: psutil.Process) -> float:
    """Bytes of the idle server, the least of a few seconds: what was freed is given back a little later."""
    found = []
    for _ in range(10):
        time.sleep(0.3)
        found.append(float(process.memory_info().rss))
    return min(found)


def swap_rows(setting: Setting, calm: Crowd, crowd: Crowd, swapping: Swapping) -> Iterator[Row]:
    """The extra wait: a request's time to the first token, less the median of those requests without swaps that
    had as many answers before them. Of the requests that were waiting while a swap was under way."""
    failures = len(crowd.failures) + swapping.late
    yield Row(f"failures of {len(crowd.done)} requests, {len(swapping.swaps)} swaps", str(failures), "0", not failures)
    for words in crowd.failures[:3]:
        yield Row("a failure", words[:100])
    usual: dict[int, list[float]] = defaultdict(list)
    calm_ahead = ahead_of(settled(calm.done, setting.clients))
    for timing, ahead in calm_ahead.items():
        usual[ahead].append(timing.to_first)
    medians = {ahead: statistics.median(waits) for ahead, waits in usual.items()}

    def extra(timings: dict[Timing, int]) -> list[tuple[Timing, float]]:
        return [(each, each.to_first - medians[ahead]) for each, ahead in timings.items() if ahead in medians]

    found = extra(ahead_of(settled(crowd.done, setting.clients)))
    touched = [
        1000 * more
        for each, more in found
        if any(each.sent < swapped.live and swapped.asked < each.first for swapped in swapping.swaps)
    ]
    noise = [1000 * more for _, more in extra(calm_ahead)]
    if not touched:
        yield Row("extra wait because of a swap", "no request waited during one")
        return
    words = (
        f"worst {max(touched):.0f} ms (p95 {percentile(touched, 0.95):.0f}, median {statistics.median(touched):.0f}, "
        f"{len(touched)} requests; without swaps: worst {max(noise):.0f}, p95 {percentile(noise, 0.95):.0f})"
    )
    yield Row("extra wait because of a swap", words, f"<= {WAIT_MS:.0f} ms", max(touched) <= WAIT_MS)
    took = [swapped.live - swapped.asked for swapped in swapping.swaps]
    yield Row("from `active` to live", f"median {statistics.median(took):.2f} s, worst {max(took):.2f} s")
