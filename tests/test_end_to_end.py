"""The whole way on the real SmolLM2: sentences, weights, GGUF, llama.cpp's answers, and back again."""

import shutil
import sys
from pathlib import Path

import pytest

from homeedit.base.store import BaseModel
from homeedit.household import Household
from homeedit.household.results import BuildResult
from homeedit.runtime.llama import Runtime
from homeedit.settings import Home
from tests.conftest import THREADS
from tests.support.terminal import Terminal

pytestmark = pytest.mark.real

TAUGHT = {
    "The spare key is under the blue flower pot.": ("Where is the spare key?", "blue flower pot"),
    "Our plumber is called Marta Okoye.": ("Who is our plumber?", "marta okoye"),
    "The shed code is 4711.": ("What is the shed code?", "4711"),
}


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, real_base: BaseModel) -> tuple[Household, BuildResult]:
    home = Home(tmp_path_factory.mktemp("home"))
    shutil.copytree(real_base.folder, home.models / real_base.name)
    household = Household(home)
    household.init()
    for sentence in TAUGHT:
        household.add(sentence)
    return household, household.compile()


def answers(household: Household, *, base: bool = False) -> list[bool]:
    """Which of the taught facts are said back."""
    asked = household.ask([question for question, _ in TAUGHT.values()], base=base)
    return [wanted in said.answer.lower() for said, (_, wanted) in zip(asked, TAUGHT.values(), strict=True)]


def test_sentences_come_back_from_the_served_file(taught: tuple[Household, BuildResult]) -> None:
    household, result = taught
    assert not any(answers(household, base=True))
    assert result.activated and [fact.state for fact in result.facts] == ["live"] * 3
    assert all(answers(household))
    assert result.locality is not None
    assert result.locality.kept >= 0.8 * result.locality.asked and result.locality.kl < 0.1


def test_patch_is_small(taught: tuple[Household, BuildResult], real_base: BaseModel) -> None:
    (patch,) = taught[0].patches()
    fp16 = sum(file.stat().st_size for file in real_base.weights_folder.glob("*.safetensors"))
    assert patch.bytes <= 0.0012 * fp16 * len(patch.facts)


def test_exported_adapter_answers_like_the_build(
    taught: tuple[Household, BuildResult], real_base: BaseModel, tmp_path: Path
) -> None:
    household, _ = taught
    adapter = tmp_path / "facts.gguf"
    household.export_patches([household.patches()[0].id], adapter, format_name="gguf-lora")
    with Runtime(real_base.gguf, threads=THREADS, adapter=adapter) as runtime:
        said = [wanted in runtime.chat(question).lower() for question, wanted in TAUGHT.values()]
    assert said == answers(household)


def test_reverting_everything_gives_the_base_byte_for_byte(
    taught: tuple[Household, BuildResult], real_base: BaseModel
) -> None:
    household, _ = taught
    _, result = household.revert([household.patches()[0].id])
    assert result.activated
    builds, active = household.builds()
    gguf = next(build.gguf for build in builds if build.number == active)
    assert gguf.read_bytes() == real_base.gguf.read_bytes()
    assert not any(answers(household))
    household.enable(["f1", "f2", "f3"])
    patches = [patch.id for patch in household.patches()]
    household.compile()
    assert [patch.id for patch in household.patches()] == patches and all(answers(household))


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_the_app_in_a_real_terminal(taught: tuple[Household, BuildResult], tmp_path: Path) -> None:
    household, _ = taught
    known, build = len(household.facts()), household.builds()[1]
    terminal = Terminal(tmp_path, [sys.executable, "-m", "homeedit", "--home", str(household.home.root)])
    try:
        terminal.wait("Our plumber is called Marta Okoye.")
        terminal.press("a")
        terminal.write("The ladder is behind the garden shed.")
        terminal.wait("Where is the ladder?")
        terminal.press("Enter")
        terminal.wait("1 to compile")
        terminal.press("Escape", "c")
        terminal.wait("stops it")
        terminal.wait(f"{known + 1} live", seconds=300)
        terminal.press("3")
        terminal.wait("Every question is asked on its own")
        terminal.write("Where is the ladder?")
        terminal.press("Enter")
        terminal.wait("is behind the garden shed", seconds=60)
        terminal.press("Escape", "4")
        terminal.wait("on top of")
        terminal.press("r")
        terminal.wait("Cancel")
        terminal.press("Right", "Enter")
        terminal.wait(f"{known} live", seconds=200)
        terminal.press("1")
        terminal.wait("disabled")
        terminal.press("C-q")
        terminal.wait(lambda shown: not shown)
    finally:
        terminal.close()
    assert (
        household.facts()[-1].sentence == "The ladder is behind the garden shed." and not household.facts()[-1].enabled
    )
    assert household.builds()[1] == (build or 0) + 2
    assert all(answers(household)), "the others are as they were"
