"""``python -m tests.household.killing WORK SOURCE``: kills compile and init wherever they can be killed.

Prints one JSON line per death. Each attempt runs in a child, forked before any model is loaded, that kills
itself with SIGKILL at the n-th event: the start of a stage, or just before a rename or a change of the ledger.
Another child then looks at what is left and runs the next command.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from tests.household import fakes

fakes.install()

# Everything a child would import, so that it is imported once.
import gguf  # noqa: E402, F401
import llama_cpp  # noqa: E402, F401
import tokenizers  # noqa: E402, F401

import homeedit.base.add  # noqa: E402, F401
import homeedit.builds.build  # noqa: E402, F401
import homeedit.household.asking  # noqa: E402, F401
import homeedit.household.bases  # noqa: E402, F401
from homeedit.facts.ledger import Ledger  # noqa: E402
from homeedit.household import Household, checking, compiling  # noqa: E402, F401
from homeedit.progress import Progress  # noqa: E402
from homeedit.runtime.llama import Runtime  # noqa: E402, F401
from homeedit.settings import Home, Settings, write_settings  # noqa: E402
from homeedit.verify.recall import Asked, Recall  # noqa: E402

FIRST, SECOND = "The spare key is under the blue flower pot.", "The rake is in the shed."
THIRD = "The hose is in the garage."


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


class Fuse:
    """Counts events and dies at the chosen one."""

    def __init__(self, at: int) -> None:
        self.left = at

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            die()


class Dying(Progress):
    def __init__(self, fuse: Fuse) -> None:
        super().__init__()
        self.fuse = fuse

    def on_stage(self, name: str, total: int | None) -> None:
        self.fuse.burn()


def before(function: Callable[..., Any], fuse: Fuse) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        fuse.burn()
        return function(*arguments, **named)

    return wrapped


def in_child(work: Callable[[], Any], answer: Path | None = None) -> int:
    """Run ``work`` in a child, its result as JSON in ``answer``; returns the wait status."""
    child = os.fork()
    if child == 0:
        try:
            result = work()
            if answer is not None:
                answer.write_text(json.dumps(result))
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
    return os.waitpid(child, 0)[1]


def killed_at(number: int, work: Callable[[Progress], Any]) -> bool:
    """Whether ``work`` died at its event ``number``; else it finished before."""

    def with_fuse() -> None:
        fuse = Fuse(number)
        os.replace, os.rename = before(os.replace, fuse), before(os.rename, fuse)  # type: ignore[assignment]
        for name in ("assign_patch", "record_build", "record_results"):
            setattr(Ledger, name, before(getattr(Ledger, name), fuse))
        work(Dying(fuse))

    status = in_child(with_fuse)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def killed_after(seconds: float, work: Callable[[Progress], Any]) -> bool:
    """Whether ``work`` was killed from outside after some time; else it finished before."""
    child = os.fork()
    if child == 0:
        work(Progress())
        os._exit(0)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def remember_everything() -> None:
    """Every fact counts as recalled, whatever the random model says, so that no build is refused."""

    def ask_facts(runtime: Any, facts: Any, progress: Progress, **_: Any) -> list[Recall]:
        progress.stage("verify", None)
        return [
            Recall(each.id, each.sentence, (Asked("?", runtime.chat("Where?"), True),), True, 1.0) for each in facts
        ]

    checking.ask_facts = ask_facts


def temporary(root: Path) -> list[str]:
    return [str(path) for path in root.rglob("*") if ".partial" in path.name or ".tmp" in path.name]


def look_at_compile(root: Path) -> dict[str, Any]:
    """What a killed compile left, and what the next one makes of it."""
    household = Household(Home(root))
    seen: dict[str, Any] = {"sentences": [fact.sentence for fact in household.facts()]}
    (answered,) = household.ask(["Where is the spare key?"])
    seen |= {"build": answered.build, "answer": answered.answer}
    seen["states"] = [fact.state for fact in household.facts()]
    result = household.compile(wait=False)
    seen |= {"activated": result.activated, "facts": [fact.state for fact in result.facts]}
    seen["left"] = temporary(root)
    used = {str(fact.patch) for fact in household.facts()}
    seen["patches"] = sorted(used) == sorted(patch.id for patch in household.patches())
    return seen


def look_at_init(root: Path, source: Path) -> dict[str, Any]:
    """What the next init makes of what a killed one left."""
    household = Household(Home(root))
    household.init(str(source), wait=False)
    household.add(FIRST)
    (base,) = household.models()
    (answered,) = household.ask(["Where is the spare key?"])
    return {
        "sentences": [fact.sentence for fact in household.facts()],
        "model": [base.name, household.settings.model, base.fingerprint],
        "statistics": base.statistics.exists(),
        "build": answered.build,
        "left": temporary(root),
    }


def report(kind: str, where: int, root: Path, look: Callable[[], dict[str, Any]]) -> None:
    answer = root.with_suffix(".json")
    answer.unlink(missing_ok=True)
    status = in_child(look, answer)
    found = json.loads(answer.read_text()) if answer.exists() else {"failed": status}
    print(json.dumps({"kind": kind, "at": where, **found}), flush=True)


def compile_deaths(work: Path, template: Path, randomly: int) -> None:
    """A second compile that has to compile an edited patch again and a new fact, killed everywhere."""

    def compile_it(progress: Progress) -> None:
        Household(Home(root)).compile(progress=progress)

    number, root = 0, work / "killed"
    while True:
        number += 1
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(template, root)
        if not killed_at(number, compile_it):
            break
        report("compile", number, root, lambda: look_at_compile(root))
    for _ in range(randomly):
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(template, root)
        killed_after(random.uniform(0.0, 0.3), compile_it)
        report("random", 0, root, lambda: look_at_compile(root))


def init_deaths(work: Path, source: Path) -> None:
    """An init with a sentence typed before the model is there, killed everywhere."""
    number, root = 0, work / "initialised"

    def init(progress: Progress) -> None:
        Household(Home(root)).init(str(source), progress=progress)

    while True:
        number += 1
        shutil.rmtree(root, ignore_errors=True)
        # With the device given, nothing imports torch.
        write_settings(Home(root), Settings(device="cpu", threads=1))
        if not killed_at(number, init):
            break
        report("init", number, root, lambda: look_at_init(root, source))


def main(work: Path, source: Path, template: Path) -> None:
    remember_everything()

    def prepare() -> None:
        household = Household(Home(template))
        household.add(FIRST)
        household.add(SECOND)
        household.compile()
        household.edit("f2", sentence="The rake is in the cellar.")
        household.add(THIRD)

    assert in_child(prepare) == 0
    compile_deaths(work, template, randomly=4)
    init_deaths(work, source)


if __name__ == "__main__":
    random.seed(0)
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
