"""Several clients at once: who waits how long, what a swap adds to that, and what stays in memory."""

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import psutil
from serving_tools import Client, Row, Setting, Timing, homeedit_server, percentile, question

SHORT = 24
"""Tokens of an answer while several ask: enough to be a stream, few enough for a thousand of them."""
WAIT_MS, FAIR, TAGS_MS, GROWTH = 250.0, 1.3, 50.0, 0.02
NEAREST = 16
"""Answers without a swap by which is told what the work of others takes at that time."""
SETTLES = 1.0
"""Seconds after a swap in which the old model is freed, and the new one's file comes into memory."""


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


@dataclass(frozen=True)
class Turn:
    """The time from the end of the answer before to the end of this one: the model is never idle. ``calm``: met no
    swap."""

    answer: Timing
    reading: float
    calm: bool

    @property
    def seconds(self) -> float:
        """Of the whole turn."""
        return self.reading + self.answer.last - self.answer.first


def lost_in(turns: Sequence[Turn], calm: Sequence[Turn]) -> float:
    """Milliseconds that turns took longer than the calm ones nearest in time do for the same work, prompts and tokens:
    those of the worst run of turns, which is the most that a request can wait longer. (Nearest, because the machine's
    own speed wanders by a tenth and more within a minute.)"""
    middle = turns[len(turns) // 2].answer.first
    near = sorted(calm, key=lambda turn: abs(turn.answer.first - middle))[:NEAREST]
    reading = statistics.median(turn.reading for turn in near)
    token = statistics.median((turn.seconds - turn.reading) / turn.answer.tokens for turn in near)
    lost = [turn.seconds - reading - token * turn.answer.tokens for turn in turns]
    return 1000 * max(sum(lost[start:end]) for start in range(len(lost)) for end in range(start + 1, len(lost) + 1))


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
        self._url = url
        self.swaps: list[Swap] = []
        self.late = 0

    def once(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """The next build, and wait until it is live."""
        number = next(self._builds)
        asked = time.perf_counter()
        self._household.use(number)
        meanwhile()
        client = Client(self._url)  # a new one: the server hangs up on those that say nothing for long
        while time.perf_counter() < asked + 120:
            if client.get("/health")["build"] == number:
                self.swaps.append(Swap(asked, time.perf_counter()))
                break
            time.sleep(0.05)
        else:
            self.late += 1
        client.close()


def swap(setting: Setting) -> Iterator[Row]:
    """What a swap adds to the waits of those who ask meanwhile. Between two swaps there is time for answers without
    one, with which the others are compared."""
    with homeedit_server(setting.home) as (url, _):
        swapping = Swapping(setting, url)
        with Crowd(url, setting.clients) as crowd:
            for _ in range(min(setting.swaps, 24)):
                enough = len(crowd.done) + 5 * setting.clients
                crowd.until(lambda enough=enough: len(crowd.done) >= enough)  # type: ignore[misc]
                swapping.once()
    failures = len(crowd.failures) + swapping.late
    yield Row(f"failures of {len(crowd.done)} requests, {len(swapping.swaps)} swaps", str(failures), "0", not failures)
    for words in crowd.failures[:3]:
        yield Row("a failure", words[:100])
    yield from swap_rows(crowd.done, setting.clients, swapping.swaps)


def swap_rows(done: Sequence[Timing], clients: int, swaps: Sequence[Swap]) -> Iterator[Row]:
    """What swaps cost those who wait. Answers are given one after the other, so a request waits longer by the time
    that is lost in the turns before its own. As much is taken together of turns without a
    swap, to show how well that can be told."""
    ordered = sorted(done, key=lambda timing: timing.first)
    turns = [
        Turn(after, max(0.0, after.first - before.last), not any(_met(after, one) for one in swaps))
        for before, after in pairwise(ordered)
    ][clients:-clients]
    during = [[turn for turn in turns if _met(turn.answer, one)] for one in swaps]
    calm = [turn for turn in turns if turn.calm]
    if not all(during) or len(calm) < NEAREST:
        yield Row("extra wait because of a swap", "too few requests to tell", f"<= {WAIT_MS:.0f} ms", False)
        return
    lost = [lost_in(chosen, calm) for chosen in during]
    size = round(statistics.mean(map(len, during)))
    noise = [lost_in(calm[at : at + size], calm) for at in range(0, len(calm) - size + 1, size)]
    words = (
        f"worst {max(lost):.0f} ms, median {statistics.median(lost):.0f} ({size} answers each; without a swap: "
        f"worst {max(noise):.0f}, median {statistics.median(noise):.0f}, least {min(noise):.0f})"
    )
    yield Row("extra wait because of a swap", words, f"<= {WAIT_MS:.0f} ms", max(lost) <= WAIT_MS)
    took = [one.live - one.asked for one in swaps]
    words = f"median {statistics.median(took):.2f} s, worst {max(took):.2f} s"
    yield Row("from `active` to live, while all ask", words)


def _met(answer: Timing, one: Swap) -> bool:
    return one.asked < answer.last and answer.first < one.live + SETTLES


def memory(setting: Setting) -> Iterator[Row]:
    """Requests and swaps together, many of both; what the idle server holds before and after."""
    each = max(1, setting.requests // max(1, setting.swaps))
    with homeedit_server(setting.home) as (url, process), ThreadPoolExecutor(setting.clients) as pool:
        clients = [Client(url, f"client {number}") for number in range(min(each, setting.clients))]
        numbers = itertools.count()
        swapping = Swapping(setting, url)

        def some() -> None:
            for _ in range(each // len(clients)):
                list(pool.map(lambda client: client.stream(question(next(numbers)), SHORT), clients))

        for _ in range(10):  # both builds were loaded, and answered: what stays in memory is there
            swapping.once(some)
        before = resident(process)
        for _ in range(setting.swaps + setting.swaps % 2):
            swapping.once(some)
        after = resident(process)
    growth = after / before - 1
    words = f"{100 * growth:+.2f} % ({before / 2**20:.1f} → {after / 2**20:.1f} MiB)"
    what = f"memory (RSS) after {next(numbers)} requests, {len(swapping.swaps)} swaps"
    yield Row(what, words, f"<= {GROWTH:.0%}", growth <= GROWTH and not swapping.late)


def resident(process: psutil.Process) -> float:
    """Bytes of the idle server, the least of a few seconds: what was freed is given back a little later."""
    found = []
    for _ in range(10):
        time.sleep(0.3)
        found.append(float(process.memory_info().rss))
    return min(found)
