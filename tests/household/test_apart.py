"""Long work in a process of its own: results, errors, talk, and every way it can end."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from homeedit.errors import Cancelled, HomeEditError
from homeedit.household import Household
from homeedit.household.apart import call_apart
from homeedit.household.lock import locked
from homeedit.household.teaching import SECRET_WARNING, Contradiction
from homeedit.processes import NEW_OBJECTS, SPIN_COUNT
from homeedit.progress import Progress
from homeedit.settings import Home
from tests.household.conftest import Heard

ROOT = Path(__file__).parents[2]
SENTENCE = "The spare key is under the blue flower pot."
WITHIN_SECONDS = 2.0


class Working(Household):
    """A Household with work that a test needs: counted, stubborn, deadly. Child processes import it from here."""

    def count(self, to: int, *, progress: Progress) -> int:
        """Stages and counts, as long work reports them."""
        progress.stage("targets", to)
        for number in range(to):
            progress.advance(1, f"number {number}")
        progress.stage("verify")
        progress.say("[b]counted[/b]")
        progress.finish()
        return to

    def stall(self, *, progress: Progress) -> None:
        """Work that says where it is and then hears nothing any more."""
        progress.stage("stalled")
        (self.home.root / "child").write_text(str(os.getpid()))
        time.sleep(60)

    def die(self, *, progress: Progress) -> None:
        """What the system does to a process that takes too much memory."""
        os.kill(os.getpid(), signal.SIGKILL)

    def setting(self, *, progress: Progress) -> tuple[int, str | None]:
        """How the process is set up."""
        return gc.get_threshold()[0], os.environ.get("GOMP_SPINCOUNT")

    def give_a_lock(self, *, progress: Progress) -> object:
        """A result that cannot travel."""
        return threading.Lock()

    def print_something(self, *, progress: Progress) -> str | None:
        """What a native library writes to the terminal."""
        os.write(1, b"on stdout\n")
        os.write(2, b"on stderr\n")
        return self.device


@pytest.fixture
def working(home: Home) -> Working:
    return Working(home)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # A zombie has ended; only nobody has asked yet how.
    return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.01)


def start(household: Household, method: str, progress: Progress) -> tuple[threading.Thread, list[Any]]:
    """``call_apart`` in a thread; what came of it will be in the list."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(call_apart(household, method, progress=progress))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def test_a_result_comes_back_as_it_is(household: Household, heard: Heard) -> None:
    added = call_apart(household, "add", "The code of the garden gate is 4711.", progress=heard)
    assert added == household.facts()[0]
    assert heard.lines == [SECRET_WARNING]


def test_options_and_a_tuple_travel(household: Household, heard: Heard) -> None:
    household.add(SENTENCE)
    fact, result = call_apart(household, "purge", "f1", wait=False, progress=heard)
    assert (fact.sentence, result) == (SENTENCE, None)
    assert household.facts() == []


def test_stages_counts_and_talk_are_relayed_in_the_thread_that_calls(working: Working) -> None:
    class Counting(Heard):
        def __init__(self) -> None:
            super().__init__()
            self.counts: dict[str, int] = {}
            self.threads: set[int] = set()

        def on_stage(self, name: str, total: int | None) -> None:
            super().on_stage(name, total)
            self.counts[name] = 0

        def on_advance(self, count: int, note: str) -> None:
            self.counts[self.stages[-1]] += count
            self.threads.add(threading.get_ident())

    heard = Counting()
    assert call_apart(working, "count", 5000, progress=heard) == 5000
    assert heard.stages == ["targets", "verify"]
    assert heard.counts == {"targets": 5000, "verify": 0}
    assert heard.lines == ["[b]counted[/b]"]
    assert heard.threads == {threading.get_ident()}


def test_the_process_is_set_up_as_the_command_lines_is(working: Working, heard: Heard) -> None:
    assert call_apart(working, "setting", progress=heard) == (NEW_OBJECTS, SPIN_COUNT)


def test_errors_come_back_as_themselves(household: Household, heard: Heard) -> None:
    known = household.add(SENTENCE)
    with pytest.raises(HomeEditError, match="Already known as f1") as duplicate:
        call_apart(household, "add", SENTENCE, progress=heard)
    assert duplicate.value.exit_code == 2
    assert "homeedit fact edit f1" in duplicate.value.hint
    with pytest.raises(Contradiction) as contradiction:
        call_apart(household, "add", "The spare key is in the shed.", progress=heard)
    assert contradiction.value.known == (known,)
    assert len(household.facts()) == 1


def test_our_own_mistake_becomes_words_and_its_traceback_goes_to_the_log(household: Household, heard: Heard) -> None:
    with pytest.raises(HomeEditError) as error:
        call_apart(household, "add", SENTENCE, colour="[red]", progress=heard)
    assert "TypeError" in error.value.message and "safe" in error.value.message
    assert str(household.home.log_file) in error.value.hint
    log = household.home.log_file.read_text()
    assert "Traceback" in log and "colour" in log


def test_a_result_that_cannot_travel_is_an_error_in_words(working: Working, heard: Heard) -> None:
    with pytest.raises(HomeEditError, match="unexpected"):
        call_apart(working, "give_a_lock", progress=heard)


def test_the_device_travels_and_the_terminal_is_left_alone(
    home: Home, heard: Heard, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call_apart(Working(home, device="cpu"), "print_something", progress=heard) == "cpu"
    captured = capfd.readouterr()
    assert "on std" not in captured.out + captured.err
    assert home.log_file.read_text().splitlines()[-2:] == ["on stdout", "on stderr"]


def test_cancelling_work_that_listens_ends_it_and_releases_the_lock(home: Home, household: Household) -> None:
    heard = Heard()
    household.add(SENTENCE)
    with locked(home, "test", Progress()):
        thread, outcome = start(household, "compile", heard)
        wait_for(lambda: heard.lines, "it says that it waits")
        assert heard.lines[0].startswith("Waiting: homeedit test")
        heard.cancel()
        began = time.monotonic()
        thread.join(10)
        assert time.monotonic() - began < WITHIN_SECONDS
    assert isinstance(outcome[0], Cancelled)
    with locked(home, "test", Progress(), wait=False):
        pass


def test_cancelling_work_that_hears_nothing_ends_it_within_two_seconds(working: Working) -> None:
    heard = Heard()
    thread, outcome = start(working, "stall", heard)
    child = working.home.root / "child"
    wait_for(lambda: child.exists() and child.read_text(), "the work stalls")
    heard.cancel()
    began = time.monotonic()
    thread.join(10)
    assert time.monotonic() - began < WITHIN_SECONDS
    assert isinstance(outcome[0], Cancelled)
    assert not alive(int(child.read_text()))


def test_cancelled_before_it_begins(household: Household, heard: Heard) -> None:
    heard.cancel()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        call_apart(household, "compile", progress=heard)
    assert time.monotonic() - began < WITHIN_SECONDS


def test_a_killed_process_is_an_error_in_words(working: Working, heard: Heard) -> None:
    with pytest.raises(HomeEditError) as error:
        call_apart(working, "die", progress=heard)
    assert "exit code -9" in error.value.message and "untouched" in error.value.message
    assert str(working.home.log_file) in error.value.hint


def test_a_process_killed_while_it_is_asked_to_stop_counts_as_stopped(working: Working) -> None:
    heard = Heard()
    thread, outcome = start(working, "stall", heard)
    child = working.home.root / "child"
    wait_for(lambda: child.exists() and child.read_text(), "the work stalls")
    heard.cancel()
    os.kill(int(child.read_text()), signal.SIGKILL)
    thread.join(10)
    assert isinstance(outcome[0], Cancelled)


_PARENT = """
import sys
from pathlib import Path
from homeedit.household.apart import call_apart
from homeedit.progress import Progress
from homeedit.settings import Home
from tests.household.test_apart import Working

if __name__ == "__main__":
    call_apart(Working(Home(Path(sys.argv[1]))), "stall", progress=Progress())
"""


def test_the_process_ends_when_its_parent_dies(home: Home, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    parent = subprocess.Popen(
        [sys.executable, script, home.root], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    child = home.root / "child"
    wait_for(lambda: child.exists() and child.read_text(), "the work stalls", seconds=60)
    parent.kill()
    parent.wait()
    wait_for(lambda: not alive(int(child.read_text())), "the work ends with its parent", seconds=WITHIN_SECONDS)
