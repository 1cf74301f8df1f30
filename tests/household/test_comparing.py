"""Builds side by side, and the base model in figures."""

import json

import pytest

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.household.results import ChangedAnswer
from homeedit.settings import Home
from tests.household.conftest import World

KEY = "The spare key is under the blue flower pot."
RAKE = "The rake is in the shed."
HOOK = "The spare key is on the hook."


def test_what_changed_between_two_builds(household: Household, world: World) -> None:
    household.add(KEY)
    household.compile()
    household.add(RAKE)
    world.kl = 0.02
    world.forgotten = {"f2"}
    household.compile()
    change = household.compare(1, 2)
    assert (change.older, change.newer, change.added, change.removed) == (1, 2, (RAKE,), ())
    assert change.answers == ()
    assert change.kl == (0.01, 0.02) and change.recall == (1.0, 0.5)
    back = household.compare(2, 1)
    assert (back.added, back.removed, back.kl) == ((), (RAKE,), (0.02, 0.01))


def test_the_base_model_knows_nothing(household: Household, world: World) -> None:
    household.add(KEY)
    household.compile()
    change = household.compare(None, 1)
    assert (change.added, change.removed, change.answers) == ((KEY,), (), ())
    assert (change.kl, change.recall) == ((None, 0.01), (None, 1.0))
    assert household.compare(1, None).removed == (KEY,)
    assert household.compare(None, None).added == ()


def test_answers_that_changed_are_shown_both_ways(household: Household, world: World) -> None:
    household.add(KEY)
    household.add(RAKE)
    household.compile()
    household.edit("f1", sentence=HOOK, questions=household.fact("f1").questions)
    world.forgotten = {"f1"}
    household.compile()
    question = household.fact("f1").questions[0]
    change = household.compare(1, 2)
    assert (change.added, change.removed) == ((HOOK,), (KEY,))
    assert change.answers == (ChangedAnswer(question, "an answer", "an answer", True, False),)


def test_builds_that_are_not_there(household: Household, world: World) -> None:
    household.add(KEY)
    household.compile()
    with pytest.raises(HomeEditError, match="no build 7"):
        household.compare(1, 7)
    manifest = household.home.models / "tiny" / "builds" / "1" / "manifest.json"
    manifest.write_text("{")
    with pytest.raises(HomeEditError, match="damaged"):
        household.compare(None, 1)


def test_a_manifest_without_measurements(household: Household, world: World) -> None:
    household.add(KEY)
    household.compile()
    manifest = household.home.models / "tiny" / "builds" / "1" / "manifest.json"
    found = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(found | {"locality": None, "recall": None}))
    change = household.compare(None, 1)
    assert (change.kl, change.recall, change.added) == ((None, None), (None, None), (KEY,))


def test_the_model_in_figures(household: Household, world: World) -> None:
    empty = household.model_facts()
    (base,) = household.models()
    assert (empty.name, empty.architecture, empty.layers, empty.edited_layers) == ("tiny", "llama", 2, (0, 1))
    assert (empty.parameters, empty.fingerprint, empty.source) == (base.parameters, base.fingerprint, base.source)
    assert empty.recipe["method"] == "joint" and empty.recipe["steps"] > 0
    assert set(empty.bytes) == {"weights", "gguf", "statistics", "builds", "patches", "ledger"}
    assert empty.bytes["gguf"] == base.gguf.stat().st_size and empty.bytes["statistics"] == len(b"statistics")
    assert empty.bytes["weights"] > 2 * base.parameters > 0 == empty.bytes["builds"] == empty.bytes["patches"]
    household.add(KEY)
    household.compile()
    taught = household.model_facts()
    assert taught.bytes["builds"] > taught.bytes["gguf"]
    assert taught.bytes["patches"] == household.patches()[0].bytes
    assert taught.bytes["ledger"] >= household.home.ledger.stat().st_size


def test_a_home_without_a_model_has_no_figures(home: Home) -> None:
    with pytest.raises(HomeEditError, match="no base model"):
        Household(Home(home.root / "nowhere")).model_facts()
