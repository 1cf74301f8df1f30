"""SIGKILL at every stage, rename and ledger change of compile and init, and at random moments of compile."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from homeedit.base.store import BaseModel
from tests.household import fakes

ROOT = Path(__file__).parents[2]
SENTENCES = [
    "The spare key is under the blue flower pot.",
    "The rake is in the cellar.",
    "The hose is in the garage.",
]


@pytest.fixture(scope="module")
def deaths(
    tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel, tiny_gguf: Path
) -> dict[str, list[dict[str, Any]]]:
    """What was seen after each death, by kind."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    work = tmp_path_factory.mktemp("killed")
    fakes.make_home(work / "template", tiny_base)
    done = subprocess.run(
        [sys.executable, "-m", "tests.household.killing", work, tiny_gguf, work / "template"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, Any]]] = {"compile": [], "random": [], "init": []}
    for line in done.stdout.splitlines():
        seen = json.loads(line)
        found[seen["kind"]].append(seen)
    return found


def check_compile(seen: dict[str, Any], answers: dict[int, str]) -> None:
    """Nothing typed is lost; a whole build answers, always the same; the next compile ends in order."""
    assert "failed" not in seen, seen
    assert seen["sentences"] == SENTENCES, seen
    assert seen["build"] in (1, 2), seen
    assert answers.setdefault(seen["build"], seen["answer"]) == seen["answer"], seen
    # Only what the served build holds is live.
    assert seen["states"][0] == "live", seen
    assert ("live" in seen["states"][1:]) == (seen["build"] == 2), seen
    assert seen["activated"] and seen["facts"] == ["live"] * 3, seen
    assert seen["left"] == [] and seen["patches"], seen


def test_a_compile_killed_at_any_event_leaves_a_whole_home(deaths: dict[str, list[dict[str, Any]]]) -> None:
    seen = deaths["compile"]
    assert len(seen) >= 18
    answers: dict[int, str] = {}
    for each in seen:
        check_compile(each, answers)
    builds = [each["build"] for each in seen]
    assert builds == sorted(builds) and builds[0] == 1


def test_a_compile_killed_at_random_moments_leaves_a_whole_home(
    deaths: dict[str, list[dict[str, Any]]],
) -> None:
    assert len(deaths["random"]) == 4
    for each in deaths["random"]:
        check_compile(each, {})


def test_an_init_killed_at_any_event_is_finished_by_the_next(deaths: dict[str, list[dict[str, Any]]]) -> None:
    assert len(deaths["init"]) >= 9
    fingerprints = set()
    for seen in deaths["init"]:
        assert "failed" not in seen, seen
        assert seen["sentences"] == SENTENCES[:1] and seen["build"] is None, seen
        assert seen["model"][:2] == ["tiny", "tiny"] and seen["statistics"], seen
        assert seen["left"] == [], seen
        fingerprints.add(seen["model"][2])
    assert len(fingerprints) == 1
