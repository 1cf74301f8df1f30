"""The command line as processes: what it loads, two at once, stopped by signals, a reader that goes away."""

import gc
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeedit.facts.ledger import Ledger
from homeedit.facts.parse import parse_sentence
from homeedit.household import Household
from homeedit.processes import importing_libraries
from homeedit.settings import Home
from tests.household.conftest import World

ROOT = Path(__file__).parents[2]
KEY = "The spare key is under the blue flower pot."


def command(home: Home, *arguments: str, how: str = "plain") -> list[str]:
    return [sys.executable, "-m", "tests.cli.driver", how, "--home", str(home.root), *arguments]


def finished(home: Home, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(home, *arguments), cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=60)


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are killed when the test is over."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(
    started: list[subprocess.Popen[str]], home: Home, *arguments: str, how: str = "plain"
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command(home, *arguments, how=how),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    started.append(process)
    return process


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Lines of stderr up to the one with ``text``."""
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if text in line:
            return seen
    raise AssertionError(f"ended without {text!r}: {seen}")


WATCHED = ("torch", "transformers", "llama_cpp", "numpy", "gguf", "safetensors", "filelock", "fastapi", "uvicorn")
REPORT = f"""
import sys
from tests.support.counted import Calls
sys.argv = ["homeedit", *sys.argv[1:]]
with Calls() as calls:
    from homeedit.cli.main import run
    try:
        run()
    except SystemExit as leaving:
        loaded = [name for name in {WATCHED!r} if name in sys.modules]
        print(leaving.code, calls.number, *loaded, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "most_calls"),
    [
        (["--help"], 250_000),
        (["fact", "list"], 2_000_000),  # a table of a thousand rows: .6 s of a core, a third of it loading
        (["fact", "list", "--json"], 250_000),
        (["fact", "show", "f1"], 250_000),
    ],
)
def test_light_commands_load_nothing_heavy_and_do_little(
    home: Home, household: Household, world: World, arguments: list[str], most_calls: int
) -> None:
    with Ledger(home.ledger) as ledger:
        facts = [parse_sentence(f"The tool number {number} is in box {number}.") for number in range(1000)]
        ledger.add_all(facts)
    household.disable([f"f{number}" for number in range(2, 1001)])
    household.compile()
    done = subprocess.run(
        [sys.executable, "-c", REPORT, "--home", str(home.root), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    code, calls, *loaded = done.stderr.split()
    assert (code, loaded) == ("0", [])
    assert int(calls) < most_calls


def test_a_second_compile_waits_or_says_who_is_at_work(
    home: Home, household: Household, world: World, started: list[subprocess.Popen[str]]
) -> None:
    household.add("The rake is in the shed.")
    world.forgotten = {"f1"}  # the random model of the other processes would lose a live fact
    household.compile()
    household.add(KEY)
    first = start(started, home, "compile", how="stall-python")
    read_until(first, "stalled")
    refused = finished(home, "compile", "--no-wait")
    assert refused.returncode == 1
    assert f"process {first.pid}" in refused.stderr and "compile" in refused.stderr
    # Readers and the ledger are not blocked.
    assert finished(home, "fact", "add", "The hose is in the garage.").returncode == 0
    listed = json.loads(finished(home, "fact", "list", "--json").stdout)
    assert [fact["id"] for fact in listed] == ["f1", "f2", "f3"]
    (answer,) = json.loads(finished(home, "ask", "-", "--json", stdin="Where is the rake?\n").stdout)
    assert answer["build"] == 1
    second = start(started, home, "compile", "--json")
    waiting = read_until(second, "Waiting")
    assert f"process {first.pid}" in waiting
    assert second.poll() is None
    first.kill()
    out, err = second.communicate(timeout=60)
    assert second.returncode == 3, err
    assert [fact["id"] for fact in json.loads(out)["facts"]] == ["f1", "f2", "f3"]


@pytest.mark.parametrize(
    ("how", "number"),
    [("stall-python", signal.SIGINT), ("stall-python", signal.SIGTERM), ("stall-c", signal.SIGINT)],
)
def test_a_signal_stops_a_compile_within_two_seconds(
    home: Home,
    household: Household,
    world: World,
    started: list[subprocess.Popen[str]],
    how: str,
    number: signal.Signals,
) -> None:
    household.add("The rake is in the shed.")
    household.compile()
    household.add(KEY)
    process = start(started, home, "compile", how=how)
    read_until(process, "stalled")
    time.sleep(0.2)
    begin = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - begin < 2.0
    assert process.returncode == 1
    assert "Stopped." in err and "Traceback" not in err
    assert json.loads(finished(home, "ask", "Where?", "--json").stdout)[0]["build"] == 1
    assert household.compile(wait=False).activated


def test_waiting_for_the_lock_can_be_stopped(
    home: Home, started: list[subprocess.Popen[str]], household: Household, world: World
) -> None:
    household.add(KEY)
    read_until(start(started, home, "compile", how="stall-python"), "stalled")
    second = start(started, home, "compile")
    read_until(second, "Waiting")
    second.send_signal(signal.SIGINT)
    _, err = second.communicate(timeout=10)
    assert second.returncode == 1 and "Stopped." in err


def test_a_reader_that_goes_away_is_no_failure_to_talk_about(home: Home, household: Household, world: World) -> None:
    with Ledger(home.ledger) as ledger:
        ledger.add_all([parse_sentence(f"The tool number {number} is in box {number}.") for number in range(300)])
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        command(home, "fact", "list", "--json"), cwd=ROOT, stdout=write_end, stderr=subprocess.PIPE, text=True
    )
    os.close(write_end)
    os.close(read_end)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and err == ""


def test_a_terminal_shows_a_bar_and_gets_its_cursor_back(home: Home, household: Household, world: World) -> None:
    pty = pytest.importorskip("pty")
    household.add(KEY)
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        command(home, "compile", "--json"),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            chunk = os.read(mine, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    out, _ = process.communicate(timeout=60)
    os.close(mine)
    assert process.returncode == 3 and json.loads(out)["build"] == 1
    assert seen.rfind(b"\x1b[?25h") > seen.rfind(b"\x1b[?25l") >= 0
    assert b"Build 1 is active." in seen


HEAPS = """
import ctypes, sys, threading
from homeedit.processes import set_up_process

if sys.argv[1] == "set up":
    set_up_process()
held = []
threads = [threading.Thread(target=lambda: held.extend(bytearray(10_000) for _ in range(100))) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="heaps are counted as glibc tells them")
def test_threads_have_one_heap_together() -> None:
    def heaps(how: str) -> int:
        running = [sys.executable, "-c", HEAPS, how]
        done = subprocess.run(running, cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stderr.count("Arena ")

    assert heaps("set up") == 1 < heaps("as it is")


ENDING = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 0))
from homeedit.processes import set_up_process
set_up_process()
"""


def test_nothing_is_looked_through_when_a_process_ends() -> None:
    done = subprocess.run([sys.executable, "-c", ENDING], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"


def test_nothing_is_looked_through_while_libraries_are_imported_and_they_never_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_library.py").write_text("made = [[number] for number in range(1000)]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    looked: list[str] = []

    def look(phase: str, _: dict[str, int]) -> None:
        looked.append(phase)

    frozen, threshold = gc.get_freeze_count(), gc.get_threshold()
    gc.set_threshold(1)
    gc.callbacks.append(look)
    try:
        with importing_libraries():
            looked.clear()
            library = importlib.import_module("a_library")
            assert not looked
        assert gc.isenabled()
        after = gc.get_freeze_count()
        assert after - frozen >= len(library.made)
        with importing_libraries():
            again = [importlib.import_module("a_library"), *([number] for number in range(1000))]
        assert again and gc.get_freeze_count() <= after, "nothing new, so nothing is set aside"
    finally:
        gc.callbacks.remove(look)
        gc.set_threshold(*threshold)
        gc.unfreeze()
        sys.modules.pop("a_library", None)


@pytest.mark.parametrize("enabled", [True, False])
def test_after_an_import_garbage_is_looked_for_as_before_it(enabled: bool) -> None:
    if not enabled:
        gc.disable()
    try:
        with importing_libraries():
            with importing_libraries():
                assert not gc.isenabled()
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
        with pytest.raises(ModuleNotFoundError), importing_libraries():
            importlib.import_module("no_such_library")
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
