"""``homeedit bench speed`` as a person and a script call it."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from homeedit.evaluation.speed import report, solve
from homeedit.settings import Home
from tests.cli.conftest import CommandLine
from tests.evaluation.conftest import contents

ROOT = Path(__file__).parents[2]
FIELDS = {"name", "value", "unit", "wanted", "met", "note"}


@pytest.fixture
def homeedit(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    small = partial(solve.measure, sizes=solve.Sizes(64, 16, 8), dense=(16, 32))
    monkeypatch.setitem(report.MEASURES, "solve", small)
    return CommandLine(home, monkeypatch, capsys)


def test_only_measures_what_is_named_and_prints_json(homeedit: CommandLine) -> None:
    found = homeedit("bench", "speed", "--only", "solve", "--json").json
    assert all(set(each) == FIELDS for each in found)
    assert found[0]["name"] == "machine" and "threads used" in found[0]["note"]
    assert {each["name"].split(",")[0] for each in found[1:]} == {"solve"}


def test_a_person_gets_a_table(homeedit: CommandLine) -> None:
    ended = homeedit("bench", "speed", "--only", "solve,statistics", "--quick")
    assert "MEASUREMENT" in ended.out and "statistics, file" in ended.out and ">= 100" in ended.out
    assert "solve, closed form" in ended.err


def test_the_home_is_left_as_it_was(homeedit: CommandLine) -> None:
    homeedit("fact", "add", "The spare key is under the blue flower pot.")
    before = contents(homeedit.home.root)
    arguments = ["--only", "reference,default,statistics", "--statistics", "--count", "1", "--reference-facts", "1"]
    found = homeedit("bench", "speed", *arguments, "--json").json
    names = [each["name"] for each in found]
    assert "reference, all rows of a fact / default (joint)" in names and "statistics, made anew" in names
    assert contents(homeedit.home.root) == before


def test_wrong_usage_ends_with_2(homeedit: CommandLine, tmp_path: Path) -> None:
    for arguments in (
        ["--only", "nonsense"],
        ["--count", "0"],
        ["--facts", str(tmp_path / "none.txt")],
        ["--seed", "-1"],
    ):
        ended = homeedit("bench", "speed", *arguments, code=2)
        assert ended.err and not ended.out


def test_without_a_home_it_says_what_to_do(homeedit: CommandLine) -> None:
    (homeedit.home.models / "tiny" / "model.json").unlink()
    assert "add it again" in homeedit("bench", "speed", "--only", "solve", code=1).err


def test_its_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\nsys.argv = ['homeedit', 'bench', 'speed', '--help']\nfrom homeedit.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "print([n for n in ('torch', 'transformers', 'llama_cpp', 'numpy') if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "closed-form" in done.stdout.replace("\n", "") and done.stderr.strip() == "[]"
