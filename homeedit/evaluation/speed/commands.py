"""What a household waits for, through the command line, in homes that are thrown away."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from homeedit.base.sources import EMBEDDED
from homeedit.base.store import BaseModel
from homeedit.errors import HomeEditError
from homeedit.evaluation.speed.facts import import_lines
from homeedit.evaluation.speed.measurement import Measurement
from homeedit.evaluation.speed.setup import Setup
from homeedit.facts.ledger import Ledger
from homeedit.facts.parse import parse_sentence
from homeedit.settings import Home, Settings, write_settings

LARGEST_COPY = 1_000_000
"""Files of a base model up to this many bytes are copied into a throw-away home, larger ones linked to."""
MANY = 1000


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process wrote, and its wall and CPU seconds."""

    out: str
    err: str
    wall: float
    cpu: float


def run_process(command: Sequence[str], *, stdin: str = "", accept: Sequence[int] = (0,)) -> Ended:
    """Run a process to its end. Raises HomeEditError with its last words when it ends otherwise than accepted."""
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, encoding="utf-8", check=False)
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode not in accept:
        raise HomeEditError(
            f"{' '.join(command[1:6])} ended with {done.returncode}: {done.stderr.strip()[-500:]}",
            "Nothing in your home was changed.",
        )
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Ended(done.stdout, done.stderr, wall, cpu)


def link_base(base: BaseModel, models: Path, *, statistics: bool = True) -> BaseModel:
    """The base model in another models folder, without its builds: small files copied, large ones linked to.

    What homeedit writes beside a base model it writes by renaming, which replaces a link and never its file.
    """
    folder = models / base.name
    folder.mkdir(parents=True)
    left_out = {base.builds.name, "active"} | (set() if statistics else {base.statistics.name})
    for entry in base.folder.iterdir():
        if entry.name in left_out or entry.name.endswith(".partial"):
            continue
        if entry.is_dir() or entry.stat().st_size > LARGEST_COPY:
            _link(entry.resolve(), folder / entry.name)
        else:
            shutil.copyfile(entry, folder / entry.name)
    return replace(base, folder=folder)


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:  # a system, or a file system, without links
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)


class ThrowAwayHome:
    """A home in the setup's folder, and the command line on it."""

    def __init__(self, setup: Setup, name: str, *, with_base: bool = True) -> None:
        self._setup = setup
        self.home = Home(setup.folder / name)
        write_settings(
            self.home,
            Settings(model=setup.base.name, seed=setup.seed, threads=setup.threads, device=setup.device),
        )
        self.home.edits.mkdir()
        with Ledger(self.home.ledger, create=True):
            pass
        if with_base:
            link_base(setup.base, self.home.models)

    def __call__(self, *arguments: str, accept: Sequence[int] = (0,)) -> Ended:
        """Run ``homeedit ARGUMENTS…``."""
        self._setup.progress.stage(f"homeedit {' '.join(arguments[:2])}", None)
        return run_process([*self._setup.command, "--home", str(self.home.root), *arguments], accept=accept)

    def compile(self) -> tuple[Ended, dict[str, float], str]:
        """``compile``: how it ended, seconds of its stages, and how many facts it recalled in words."""
        ended = self("compile", "--json", accept=(0, 1, 3))
        try:
            result = json.loads(ended.out)
        except ValueError as error:
            raise HomeEditError(
                f"A compile in a throw-away home failed: {ended.err.strip()[-500:]}",
                "Nothing in your home was changed.",
            ) from error
        facts = result["facts"]
        recalled = sum(fact["state"] == "live" for fact in facts)
        words = f"{recalled} of {len(facts)} recalled"
        return ended, result["seconds"], words if result["activated"] else f"{words}, refused by the gate"


def measure_chain(setup: Setup, count: int = 12) -> Iterator[Measurement]:
    """Sentences to verified answers: a compile of several, one more, export and revert of its patch."""
    home = ThrowAwayHome(setup, "chain")
    *first, last = setup.facts(count + 1)
    sheet = home.home.root / "sentences.jsonl"
    sheet.write_text(import_lines(first), encoding="utf-8")
    home("fact", "import", str(sheet), "--keep-both")
    name = f"compile of {count} facts, whole command"
    ended, stages, words = home.compile()
    yield Measurement(name, ended.wall, "s", note=words)
    yield from _stages(name, stages)
    sheet.write_text(import_lines([last]), encoding="utf-8")
    added = home("fact", "import", str(sheet), "--keep-both")
    name = f"one fact added to {count}, sentence to verified answer"
    ended, stages, words = home.compile()
    yield Measurement(name, added.wall + ended.wall, "s", note=f"the two commands; {words}")
    yield from _stages(name, stages)
    patch = json.loads(home("fact", "list", "--json").out)[-1]["patch"]
    if patch is None:
        setup.progress.say("Export and revert are not measured: the compile was refused.")
        return
    out = home.home.root / "one.safetensors"
    yield Measurement("patch export", home("patch", "export", patch, "-o", str(out)).wall, "s")
    reverted = home("patch", "revert", patch, accept=(0, 1, 3))
    yield Measurement("patch revert", reverted.wall, "s", note="link, splice, verify, activate")


def _stages(name: str, stages: dict[str, float]) -> Iterator[Measurement]:
    for stage, seconds in stages.items():
        yield Measurement(f"{name.split(',')[0]}, {stage}", seconds, "s")


def measure(setup: Setup) -> Iterator[Measurement]:
    """The commands that should not be felt, and ``init`` where the base model is the embedded one."""
    home = ThrowAwayHome(setup, "commands")
    parsed = [parse_sentence(f"The box {number} is on shelf {number + 1}.") for number in range(MANY)]
    with Ledger(home.home.ledger) as ledger:
        ledger.add_all(parsed)
    home("--help")  # the first call reads the files, and may compile them to bytecode
    yield Measurement("homeedit --help", home("--help").cpu, "s", "<= 0.5", "CPU, second call")
    listed = home("fact", "list", "--json").cpu
    yield Measurement(f"fact list with {MANY} facts", listed, "s", "<= 0.5", "CPU")
    if setup.base.name == EMBEDDED:
        fresh = ThrowAwayHome(setup, "init", with_base=False)
        yield Measurement("init", fresh("init").wall, "s", note="of an empty home")
