"""What a household knows: tags, conflicts, history, undo, and which facts an answer says."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from homeedit.errors import USAGE, HomeEditError
from homeedit.household import Household
from homeedit.settings import Home
from tests.household.conftest import World

KEY = "The spare key is under the blue flower pot."
HOOK = "The spare key is on the hook."
RAKE = "The rake is in the shed."


def test_tags_alone_make_no_revision_and_leave_the_patch(household: Household, world: World) -> None:
    household.add(KEY, tags=["Door", "keys"])
    household.compile()
    before = household.fact("f1")
    assert before.tags == ("door", "keys") and before.state == "live"
    tagged = household.edit("f1", tags=["garden"])
    assert tagged == household.fact("f1")
    assert (tagged.tags, tagged.revision, tagged.patch, tagged.state) == (("garden",), 1, before.patch, "live")
    assert household.compile().changed is False
    assert household.edit("f1", tags=[]).tags == ()
    changed = household.edit("f1", sentence=HOOK, tags=["hall"])
    assert (changed.tags, changed.revision, changed.state) == (("hall",), 2, "draft")
    assert household.edit("f1", sentence=KEY).tags == ("hall",)
    with pytest.raises(HomeEditError) as caught:
        household.edit("f1", sentence=HOOK, tags=["two words"])
    assert caught.value.exit_code == USAGE and household.fact("f1").sentence == KEY


def test_a_replaced_fact_keeps_its_tags_unless_others_are_given(household: Household) -> None:
    household.add("The alarm code is 1111.", tags=["safe"])
    assert household.add("The alarm code is 2222.", on_conflict="replace").tags == ("safe",)
    assert household.add("The alarm code is 3333.", on_conflict="replace", tags=["x"]).tags == ("x",)


def test_tags_of_several_facts(household: Household) -> None:
    household.add(KEY)
    household.add(RAKE, tags=["old"])
    assert [(fact.id, fact.tags) for fact in household.set_tags(["f2", "1", "f2"], ["B", "a"])] == [
        ("f2", ("a", "b")),
        ("f1", ("a", "b")),
    ]
    with pytest.raises(HomeEditError, match="no fact f9"):
        household.set_tags(["f1", "f9"], [])
    assert household.fact("f1").tags == ("a", "b")


def test_results_of_all_facts_are_those_of_each(household: Household, world: World) -> None:
    for sentence in (KEY, RAKE):
        household.add(sentence)
    household.compile()
    household.add("Our plumber is called Marta Okoye.")
    world.kl = 9.0
    assert household.compile().activated is False
    results = household.fact_results()
    assert [result.id for result in results] == [fact.id for fact in household.facts()] == ["f1", "f2", "f3"]
    assert results == [household.fact_result(result.id) for result in results]
    assert [(result.state, result.recall) for result in results[:2]] == [("live", 1.0)] * 2
    assert results[0].asked[0].answer == "an answer" and results[0].refused == ""
    assert (results[2].state, results[2].recall, results[2].asked) == ("failed", None, ())
    assert results[2].refused


def test_conflicts_before_anything_is_stored(household: Household) -> None:
    household.add("The alarm code is 1111.")
    household.add(KEY)
    nothing = household.conflicts(household.preview(RAKE))
    assert (nothing.duplicate, nothing.contradicted) == (None, ())
    same = household.conflicts(household.preview(KEY.upper()))
    assert same.duplicate == household.fact("f2") and same.contradicted == ()
    other = household.conflicts(household.preview("The alarm code is 2222."))
    assert other.duplicate is None and other.contradicted == (household.fact("f1"),)
    ignored = household.conflicts(household.preview("The alarm code is 2222."), ignore=["f1"])
    assert ignored.contradicted == ()
    assert household.conflicts(household.preview(KEY), ignore=["2"]).duplicate is None
    household.disable(["f1", "f2"])
    assert household.conflicts(household.preview("The alarm code is 2222.")).contradicted == ()
    disabled = household.conflicts(household.preview(KEY)).duplicate
    assert disabled is not None and not disabled.enabled


def test_conflicts_know_the_state_in_the_active_build(household: Household, world: World) -> None:
    household.add(KEY)
    household.compile()
    (known,) = household.conflicts(household.preview(HOOK)).contradicted
    assert known.state == "live"


def test_the_history_of_a_fact(household: Household) -> None:
    household.add(KEY)
    household.edit("f1", sentence=HOOK)
    assert [(each.number, each.parsed.sentence) for each in household.history("f1")] == [(1, KEY), (2, HOOK)]
    household.remove("f1")
    assert len(household.history("1")) == 2
    with pytest.raises(HomeEditError, match="no fact f9"):
        household.history("f9")


def test_an_edit_is_undone_with_patch_and_state(household: Household, world: World) -> None:
    household.add(KEY, tags=["door"])
    household.add(RAKE)
    household.compile()
    before = household.fact("f1")
    household.edit("f1", sentence=HOOK, tags=["hall"])
    back = household.put_back(before)
    assert back == household.fact("f1")
    assert (back.sentence, back.tags, back.patch, back.state, back.revision) == (
        KEY,
        ("door",),
        before.patch,
        "live",
        3,
    )
    assert household.compile().changed is False


def test_an_undo_after_the_patch_went_is_a_draft(household: Household, world: World) -> None:
    household.add(KEY)
    household.compile()
    before = household.fact("f1")
    household.edit("f1", sentence=HOOK)
    household.compile()
    back = household.put_back(before)
    assert (back.sentence, back.patch, back.state) == (KEY, None, "draft")
    household.compile()
    assert household.fact("f1").state == "live"


def test_a_removal_and_a_switch_are_undone(household: Household, world: World) -> None:
    household.add(KEY)
    household.compile()
    before = household.fact("f1")
    household.remove("f1")
    back = household.put_back(before)
    assert (back.enabled, back.patch, back.state, back.revision) == (True, before.patch, "live", 1)
    household.disable(["f1"])
    assert household.put_back(before).enabled
    assert household.put_back(household.fact("f1")).patch == before.patch


def test_a_patch_that_holds_other_words_is_not_put_back(household: Household, world: World) -> None:
    household.add(KEY)
    household.edit("f1", sentence=HOOK)
    draft = household.fact("f1")
    household.compile()
    patch = household.fact("f1").patch
    claimed = replace(draft, sentence=KEY, patch=patch)
    assert household.put_back(claimed).patch is None


def test_what_cannot_be_put_back(household: Household, world: World) -> None:
    before = household.add(KEY)
    household.remove("f1")
    household.add(KEY)
    with pytest.raises(HomeEditError, match="Already known as f2"):
        household.put_back(before)
    household.remove("f2")
    household.purge("f1")
    with pytest.raises(HomeEditError, match="f1 was purged"):
        household.put_back(before)
    assert household.facts() == []


def test_which_facts_an_answer_says(household: Household) -> None:
    household.add(KEY)
    household.add(RAKE)
    household.add("Our plumber is called Marta Okoye.")

    def touched(question: str, answer: str) -> list[str]:
        return [fact.id for fact in household.touched(question, answer)]

    assert touched("Where's the spare key?", "It is under the blue flower pot.") == ["f1"]
    assert touched("And?", "The spare key is under the blue flower pot, the rake in the shed.") == ["f1", "f2"]
    assert touched("Who is our plumber?", "Marta Okoye is.") == ["f3"]
    # The answer says it of something else, or does not say it.
    assert touched("Where is the ball?", "Under the blue flower pot.") == []
    assert touched("Where is the spare key?", "Under the flower pot.") == []
    assert touched("Where is the rake?", "It is not in the shed.") == []
    household.disable(["f1"])
    assert touched("Where's the spare key?", "Under the blue flower pot.") == []


LIGHT = """
import sys
from dataclasses import replace
from pathlib import Path
from homeedit.household import Household
from homeedit.settings import Home
household = Household(Home(Path(sys.argv[1])))
fact = household.add("The spare key is under the mat.", tags=["door"])
household.conflicts(household.preview("The spare key is on the hook."))
household.edit("f1", sentence="The spare key is on the hook.")
household.put_back(fact)
household.fact_results(), household.history("f1"), household.touched("Where?", "There.")
household.keep_typed("sentence", "The"), household.typed()
household.import_facts(["sentence,tags", "The rake is in the shed.,garden"])
household.setting_values(), household.change_setting("threads", 1), household.model_facts()
household.builds(), household.patches(), household.compare(None, None)
household.talk().close()
print([name for name in ("torch", "transformers", "llama_cpp") if name in sys.modules])
"""


def test_light_methods_load_nothing_heavy(home: Home) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(home.root)], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
