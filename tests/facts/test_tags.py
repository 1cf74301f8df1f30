"""Tags: what may be one, and how they are kept."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.ledger import Ledger
from homeedit.facts.migrations import APPLICATION_ID, MIGRATIONS
from homeedit.facts.parse import parse_sentence
from homeedit.facts.records import Result
from homeedit.facts.tags import clean_tags

KEY = parse_sentence("The spare key is under the mat.")
HOOK = parse_sentence("The spare key is on the hook.")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db", create=True)


def test_tags_are_casefolded_sorted_and_unique() -> None:
    assert clean_tags(["Oma", "garden", "GARDEN", "Straße", "strasse", "x" * 30]) == (
        "garden",
        "oma",
        "strasse",
        "x" * 30,
    )
    # One letter in two encodings is one tag.
    assert len(clean_tags(["caf\u00e9", "cafe\u0301"])) == 1


@pytest.mark.parametrize("tag", ["", " ", "two words", "a,b", "x" * 31, "ß" * 16, "a\nb", "a\x00", "a\u2003b", "\x1b["])
def test_what_is_no_tag(tag: str) -> None:
    with pytest.raises(HomeEditError) as caught:
        clean_tags(["fine", tag])
    assert caught.value.exit_code == USAGE and caught.value.hint


def test_tags_come_back_and_are_no_revision(ledger: Ledger) -> None:
    fact = ledger.add(KEY, ["Keys", "door"])
    assert fact.tags == ("door", "keys") and ledger.get("f1") == fact
    ledger.assign_patch(["f1"], "p1")
    ledger.set_tags(["f1"], ["x'); DROP"[:3]])
    changed = ledger.get("f1")
    assert (changed.tags, changed.revision, changed.patch) == (("x')",), 1, "p1")
    assert ledger.edit("f1", HOOK).tags == ("x')",) == ledger.get("f1").tags
    assert ledger.edit("f1", KEY, ["b"]).tags == ("b",) == ledger.get("f1").tags


def test_tags_of_many_are_set_for_all_or_none(ledger: Ledger) -> None:
    ledger.add_tagged([(KEY, ["a"]), (HOOK, ["b", "a"])])
    assert [fact.tags for fact in ledger.facts()] == [("a",), ("a", "b")]
    with pytest.raises(HomeEditError, match="no fact f9"):
        ledger.set_tags(["f1", "f9"], ["c"])
    with pytest.raises(HomeEditError, match="cannot be a tag"):
        ledger.set_tags(["f1"], ["c", "d e"])
    assert [fact.tags for fact in ledger.facts()] == [("a",), ("a", "b")]


def test_a_ledger_from_before_tags_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = sqlite3.connect(path)
    for statement in MIGRATIONS[0]:
        old.execute(statement)
    old.execute(
        "INSERT INTO facts (revision, sentence, plain, subject, prompt, target, questions, relation, patch, created,"
        " changed) VALUES (2, 'The code is 1.', 'the code is 1', 'The code', 'The code is', '1', '[\"Code?\"]', 'code',"
        " 'p1', 'then', 'later')"
    )
    old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    with Ledger(path) as ledger:
        (fact,) = ledger.facts()
        assert (fact.sentence, fact.revision, fact.patch, fact.tags) == ("The code is 1.", 2, "p1", ())
        ledger.set_tags(["f1"], ["safe"])
    with Ledger(path) as ledger:
        assert ledger.get("f1").tags == ("safe",)


def test_what_was_removed_is_put_back_as_it_was(ledger: Ledger) -> None:
    before = ledger.add(KEY, ["door"])
    ledger.remove("f1")
    ledger.put_back(before, None)
    assert replace(ledger.get("f1"), changed=before.changed) == before
    assert len(ledger.revisions("f1")) == 1


def test_earlier_words_come_back_as_a_further_revision_with_their_answers(ledger: Ledger) -> None:
    before = ledger.add(KEY)
    ledger.assign_patch(["f1"], "p1")
    ledger.record_results("tiny", 1, [Result("f1", 1, 0, "Where?", "Under the mat.", True)])
    ledger.edit("f1", HOOK)
    ledger.put_back(before, "p1")
    now = ledger.get("f1", base="tiny", active=1)
    assert (now.revision, now.patch, now.state, now.target) == (3, "p1", "live", "the mat")
    assert [each.parsed.target for each in ledger.revisions("f1")] == ["the mat", "the hook", "the mat"]


def test_answers_to_other_words_do_not_count_for_what_is_put_back(ledger: Ledger) -> None:
    ledger.add(KEY)
    ledger.record_results("tiny", 1, [Result("f1", 1, 0, "Where?", "Under the mat.", True)])
    other = replace(ledger.edit("f1", HOOK), revision=1)
    ledger.edit("f1", KEY)
    ledger.put_back(other, "p1")
    assert ledger.get("f1", base="tiny", active=1).state == "compiled"


def test_why_a_fact_was_refused_stays_while_words_and_patch_do(ledger: Ledger) -> None:
    fact = ledger.add(KEY)
    ledger.refuse(["f1"], "too much")
    ledger.put_back(replace(fact, enabled=False), None)
    assert ledger.refusals() == {"f1": "too much"} and not ledger.get("f1").enabled
    ledger.put_back(fact, "p1")
    assert ledger.refusals() == {}


def test_what_was_purged_cannot_be_put_back(ledger: Ledger) -> None:
    fact = ledger.add(KEY)
    ledger.remove("f1", purge=True)
    with pytest.raises(HomeEditError, match="f1 was purged"):
        ledger.put_back(fact, None)
    assert ledger.facts() == []
