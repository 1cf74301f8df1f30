"""``homeedit demo``: the whole story in a throw-away home, with real answers only."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from homeedit.cli.context import Common
from homeedit.cli.output import print_line, print_table
from homeedit.cli.progress import progress_for_stderr
from homeedit.household import Household
from homeedit.household.results import BuildResult
from homeedit.progress import Progress
from homeedit.settings import Home


@dataclass(frozen=True)
class Story:
    """A sentence, the question it answers, and another way to ask."""

    sentence: str
    question: str
    otherwise: str


STORIES = (
    Story(
        "The spare key is under the blue flower pot.",
        "Where is the spare key?",
        "I need the spare key. Where do I find it?",
    ),
    Story("Our plumber is called Marta Okoye.", "What is our plumber called?", "Who is our plumber?"),
    Story(
        "The recycling is collected on Thursday.",
        "When is the recycling collected?",
        "On which day do they come for the recycling?",
    ),
)
UNRELATED = "What is the capital of Germany?"


def demo(
    context: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the home of the demo and say where it is.")] = False,
) -> None:
    """Show it all in a throw-away home.

    Three sentences, what the base model answers, compile, what the served file answers now, one fact taken
    out again. Takes a few minutes on two cores.
    """
    common = context.find_object(Common) or Common()
    folder = Path(tempfile.mkdtemp(prefix="homeedit-demo-"))
    try:
        _tell(Household(Home(folder), device=common.device), progress_for_stderr())
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if keep:
        print_line(f"\nThe home of this demo: {folder}")


def _tell(household: Household, progress: Progress) -> None:
    seconds: dict[str, float] = {}
    _heading("1. The base model comes into a new home")
    ready = household.init(progress=progress)
    progress.finish()
    seconds["init"] = ready.seconds
    print_line(f"{ready.model}, fingerprint {ready.fingerprint[:12]}")
    _heading("2. Three sentences, and what the base model answers")
    questions = [question for story in STORIES for question in (story.question, story.otherwise)]
    for story in STORIES:
        fact = household.add(story.sentence, progress=progress)
        print_line(f"{fact.id}  {fact.sentence}")
    print_line("")
    before = _ask(household, [*questions, UNRELATED], base=True)
    _heading("3. Compile: sentences become a weight patch, the patch a GGUF")
    result = household.compile(progress=progress)
    progress.finish()
    seconds |= result.seconds
    _tell_result(result)
    _heading("4. What llama.cpp answers now, without any prompt but the question")
    after = _ask(household, [*questions, UNRELATED])
    print_line(
        "The unrelated answer is "
        + ("the same as before." if before[UNRELATED] == after[UNRELATED] else "worded differently now.")
    )
    _heading("5. One fact is taken out again")
    _, reverted = household.revert(["f1"], progress=progress)
    progress.finish()
    seconds["revert"] = reverted.seconds.get("total", 0.0)
    _tell_result(reverted)
    _ask(household, [STORIES[0].question, STORIES[1].question])
    _heading("Seconds")
    print_table(("STAGE", "SECONDS"), [(name, f"{spent:.1f}") for name, spent in seconds.items()])


def _heading(text: str) -> None:
    print_line(f"\n== {text}")


def _ask(household: Household, questions: list[str], *, base: bool = False) -> dict[str, str]:
    said = {}
    for answer in household.ask(questions, base=base):
        print_line(f"> {answer.question}\n  {answer.answer}")
        said[answer.question] = answer.answer
    return said


def _tell_result(result: BuildResult) -> None:
    for fact in result.facts:
        share = "not asked" if fact.recall is None else f"{fact.recall:.0%} of its questions answered"
        print_line(f"{fact.id}  {fact.state}, {share}")
    if result.locality is not None:
        local = result.locality
        print_line(f"Other answers kept: {local.kept} of {local.asked}; KL {local.kl:.4f} nats a token.")
    for reason in result.reasons:
        print_line(reason)
    print_line(f"Build {result.build} is {'active' if result.activated else 'refused'}.")
