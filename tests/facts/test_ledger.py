"""The ledger keeps what was typed, derives states, and refuses damaged files without touching them."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.ledger import Ledger
from homeedit.facts.migrations import MIGRATIONS
from homeedit.facts.parse import parse_sentence
from homeedit.facts.records import BuildRecord, Result, parse_fact_id
from tests.support.counted import Calls


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edits" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Ledger:
    return Ledger(path, create=True)


def add(ledger: Ledger, sentence: str) -> str:
    return ledger.add(parse_sentence(sentence)).id


def answers(fact_id: str, *right: bool, revision: int = 1) -> list[Result]:
    return [Result(fact_id, revision, position, f"q{position}?", "a", value) for position, value in enumerate(right)]


def test_add_and_read_back(ledger: Ledger) -> None:
    parsed = parse_sentence("The torch is in the hall.")
    fact = ledger.add(parsed)
    assert (fact.id, fact.state, fact.enabled, fact.patch, fact.revision) == ("f1", "draft", True, None, 1)
    assert ledger.get("f1") == fact == ledger.get("1") == ledger.facts()[0]
    assert fact.questions == parsed.questions and fact.relation == "place"


def test_it_survives_closing(path: Path) -> None:
    with Ledger(path, create=True) as ledger:
        add(ledger, "The torch is in the hall.")
    with Ledger(path) as ledger:
        assert [fact.sentence for fact in ledger.facts()] == ["The torch is in the hall."]


@pytest.mark.parametrize(("text", "number"), [("f3", 3), ("3", 3), (" F12 ", 12)])
def test_ids(text: str, number: int) -> None:
    assert parse_fact_id(text) == number


@pytest.mark.parametrize("text", ["", "f", "x3", "f0", "-1", "3; DROP TABLE facts", "f" + "9" * 30, "٣", "f3\n4"])
def test_ids_that_are_none(text: str) -> None:
    with pytest.raises(HomeEditError) as caught:
        parse_fact_id(text)
    assert caught.value.exit_code == USAGE


def test_unknown_ids(ledger: Ledger) -> None:
    for call in (
        lambda: ledger.get("f9"),
        lambda: ledger.edit("f9", parse_sentence("The code is 1.")),
        lambda: ledger.remove("f9"),
        lambda: ledger.remove("f9", purge=True),
        lambda: ledger.set_enabled(["f9"], False),
    ):
        with pytest.raises(HomeEditError, match="no fact f9"):
            call()


def test_edit_keeps_every_revision(ledger: Ledger) -> None:
    fact_id = add(ledger, "The code is 1.")
    ledger.assign_patch([fact_id], "p1")
    edited = ledger.edit(fact_id, parse_sentence("The code is 2."))
    assert (edited.revision, edited.state, edited.patch, edited.target) == (2, "draft", None, "2")
    assert ledger.get(fact_id) == edited
    assert [(item.number, item.parsed.target) for item in ledger.revisions(fact_id)] == [(1, "1"), (2, "2")]


def test_states_are_derived(ledger: Ledger) -> None:
    ids = [add(ledger, f"The code of box {number} is {number}.") for number in range(5)]
    draft, refused, compiled, live, failed = ids
    ledger.refuse([refused], "not finite")
    ledger.assign_patch([compiled, live, failed], "p1")
    ledger.record_build(BuildRecord("base", 1, ("p1",), (live, failed)))
    ledger.record_results("base", 1, [*answers(live, True, False), *answers(failed, False, True)])
    states = {fact.id: fact.state for fact in ledger.facts(base="base", active=1)}
    assert states == {draft: "draft", refused: "failed", compiled: "compiled", live: "live", failed: "failed"}
    assert ledger.get(live, base="base", active=1).state == "live"
    # Another build, another base, or none is active: nothing was asked there.
    for base, active in (("base", 2), ("other", 1), ("base", None)):
        assert {fact.state for fact in ledger.facts(base=base, active=active) if fact.patch} == {"compiled"}
    assert ledger.refusals() == {refused: "not finite"}


def test_an_edited_fact_is_a_draft_whatever_its_old_words_answered(ledger: Ledger) -> None:
    fact_id = add(ledger, "The code is 1.")
    ledger.assign_patch([fact_id], "p1")
    ledger.record_results("base", 1, answers(fact_id, True))
    ledger.edit(fact_id, parse_sentence("The code is 2."))
    assert ledger.get(fact_id, base="base", active=1).state == "draft"
    ledger.assign_patch([fact_id], "p2")
    assert ledger.get(fact_id, base="base", active=1).state == "compiled"


def test_a_patch_clears_a_refusal(ledger: Ledger) -> None:
    fact_id = add(ledger, "The code is 1.")
    ledger.refuse([fact_id, "f99"], "disk full")
    ledger.assign_patch([fact_id], "p1")
    assert ledger.refusals() == {} and ledger.get(fact_id).state == "compiled"
    ledger.assign_patch([fact_id], None)
    assert ledger.get(fact_id).state == "draft"


def test_a_patch_is_not_assigned_to_words_it_does_not_hold(ledger: Ledger) -> None:
    one, two, three = (add(ledger, f"The code {number} is {number}.") for number in (1, 2, 3))
    revisions = {fact.id: fact.revision for fact in ledger.facts()}
    ledger.edit(two, parse_sentence("The code 2 is 5."))
    ledger.remove(three)
    assert ledger.assign_patch([one, two, three], "p1", revisions=revisions) == [one]
    assert ledger.get(two).state == "draft"


def test_enable_and_disable(ledger: Ledger) -> None:
    one, two = add(ledger, "The code is 1."), add(ledger, "The torch is in the hall.")
    ledger.set_enabled([one], False)
    assert [fact.id for fact in ledger.facts(enabled_only=True)] == [two]
    with pytest.raises(HomeEditError):
        ledger.set_enabled([two, "f99"], False)
    assert ledger.get(two).enabled, "all of them or none"
    ledger.set_enabled([one], True)
    assert len(ledger.facts(enabled_only=True)) == 2


def test_remove_keeps_history_and_purge_does_not(ledger: Ledger, path: Path) -> None:
    kept, purged = add(ledger, "The kept code is 1."), add(ledger, "The secret word is Xylophon77.")
    ledger.record_results("base", 1, [*answers(kept, True), *answers(purged, True)])
    ledger.remove(kept)
    assert [fact.id for fact in ledger.facts()] == [purged]
    assert len(ledger.revisions(kept)) == 1
    ledger.remove(purged, purge=True)
    assert ledger.revisions(purged) == [] and ledger.facts() == []
    assert [row.fact_id for row in ledger.results("base", 1)] == [kept]
    for file in path.parent.iterdir():
        assert b"Xylophon77" not in file.read_bytes(), file
    ledger.remove(kept, purge=True)
    assert ledger.revisions(kept) == []


def test_ids_are_never_used_again(ledger: Ledger) -> None:
    last = add(ledger, "The code is 1.")
    ledger.remove(last, purge=True)
    assert add(ledger, "The code is 2.") == "f2"


def test_duplicates(ledger: Ledger) -> None:
    fact_id = add(ledger, "The Torch is in the hall.")
    for sentence in ("the torch is in the hall", "The  torch is in  the hall!", "THE TORCH IS IN THE HALL ."):
        found = ledger.duplicate_of(sentence)
        assert found and found.id == fact_id
    assert ledger.duplicate_of("The torch is in the hal.") is None
    ledger.remove(fact_id)
    assert ledger.duplicate_of("The torch is in the hall.") is None


@pytest.mark.parametrize(
    ("first", "second", "contradict"),
    [
        ("The code is 1.", "The code is 2.", True),
        ("The code is 1.", "the code is 1", False),
        ("The torch is in the hall.", "The torch is under the sofa.", True),
        ("The torch is in the hall.", "The lamp is under the sofa.", False),
        ("Our cat is named Momo.", "Our cat is called Kiko.", True),
        ("Emma is allergic to nuts.", "Emma is allergic to milk.", False),
        ("Emma likes soup.", "Emma likes football.", False),
        ("The gardener comes on Monday.", "The gardener comes every Friday.", True),
        ("The bus leaves at seven.", "The bus arrives at eight.", False),
    ],
)
def test_contradictions(ledger: Ledger, first: str, second: str, contradict: bool) -> None:
    fact_id = add(ledger, first)
    parsed = parse_sentence(second)
    assert [fact.id for fact in ledger.contradictions(parsed)] == ([fact_id] if contradict else [])
    assert ledger.contradictions(parsed, ignore=[fact_id]) == []
    ledger.set_enabled([fact_id], False)
    assert ledger.contradictions(parsed) == []


def test_builds_and_results(ledger: Ledger) -> None:
    fact_id = add(ledger, "The code is 1.")
    record = BuildRecord("base", 3, ("p1", "p2"), (fact_id,), True, {"kl": 0.02}, {"total": 1.5}, "2024-05-01")
    ledger.record_build(record)
    ledger.record_build(BuildRecord("other", 1, (), ()))
    assert ledger.builds("base") == [record]
    assert [(build.base, build.number) for build in ledger.builds()] == [("base", 3), ("other", 1)]
    ledger.record_results("base", 3, answers(fact_id, True, False, True))
    ledger.record_results("base", 3, answers(fact_id, False, False))
    assert [row.right for row in ledger.results("base", 3)] == [False, False], "asked again: replaced"
    ledger.record_build(record)
    assert ledger.results("base", 3) == [], "the number of an interrupted build begins anew"


def test_results_of_a_fact_purged_meanwhile_are_dropped(ledger: Ledger) -> None:
    ledger.record_results("base", 1, answers("f7", True))
    assert ledger.results("base", 1) == []


@pytest.mark.parametrize(
    "text",
    ["'); DROP TABLE facts; --", "🎉" * 40, "[red]{0}%s\\", "المفتاح", "a\u200db", "\U0010ffff"],
)
def test_any_text_comes_back_as_it_was(ledger: Ledger, text: str) -> None:
    parsed = parse_sentence(f"The box is {text}.", subject="box", prompt="The box is", target=text)
    fact = ledger.add(parsed)
    assert ledger.get(fact.id).target == text
    ledger.refuse([fact.id], text)
    assert ledger.refusals()[fact.id] == text
    assert len(ledger.facts()) == 1


def test_add_all_is_all_or_nothing(ledger: Ledger) -> None:
    good = parse_sentence("The code is 1.")

    def facts() -> object:
        yield good
        raise HomeEditError("line 2 is not a sentence")

    with pytest.raises(HomeEditError, match="line 2"):
        ledger.add_all(facts())  # type: ignore[arg-type]
    assert ledger.facts() == []
    assert [fact.id for fact in ledger.add_all([good, good])] == ["f1", "f2"]


def test_a_thousand_facts_are_one_query(ledger: Ledger) -> None:
    parsed = parse_sentence("The torch is in the hall.")
    ledger.add_all([parsed] * 1000)
    queries: list[str] = []
    ledger._connection.set_trace_callback(queries.append)
    with Calls() as calls:
        found = ledger.facts(base="base", active=1)
    assert (len(found), len(queries)) == (1000, 1)
    assert calls.number < 20_000, "a few for each fact"


# Files that are no whole ledger


def test_missing(path: Path) -> None:
    with pytest.raises(HomeEditError, match="not there"):
        Ledger(path)
    assert not path.exists() and not path.parent.exists()


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00", b"hello" * 500, bytes(4096)])
def test_not_a_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    for create in (False, True):
        with pytest.raises(HomeEditError, match="damaged"):
            Ledger(path, create=create)
    assert path.read_bytes() == content


def test_truncated(path: Path) -> None:
    with Ledger(path, create=True) as ledger:
        ledger.add_all([parse_sentence("The torch is in the hall.")] * 100)
    whole = path.read_bytes()
    for size in (len(whole) // 2, 5000, 4096, 300):
        path.write_bytes(whole[:size])
        with pytest.raises(HomeEditError, match="damaged"), Ledger(path) as ledger:
            ledger.facts()
        assert path.read_bytes()[:size] == whole[:size]
        for extra in path.parent.glob("ledger.db-*"):
            extra.unlink()


def test_another_programs_database(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (name TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(HomeEditError, match="not a homeedit ledger"):
        Ledger(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(path: Path) -> None:
    Ledger(path, create=True).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.commit()
    connection.close()
    with pytest.raises(HomeEditError, match="newer homeedit"):
        Ledger(path)


def test_settings_of_the_file(ledger: Ledger) -> None:
    assert ledger._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert ledger._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert ledger._connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)


def test_a_full_disk_is_said_and_nothing_is_lost(ledger: Ledger) -> None:
    add(ledger, "The code is 1.")
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(HomeEditError, match="full"):
        ledger.add_all([parse_sentence("The torch is in the hall.")] * 500)
    assert len(ledger.facts()) == 1


# Other processes and threads


def test_a_reader_is_not_blocked_by_a_writer(ledger: Ledger, path: Path) -> None:
    add(ledger, "The code is 1.")
    with ledger._change() as connection, Ledger(path) as other:
        connection.execute("UPDATE facts SET enabled = 0")
        started = time.monotonic()
        assert other.facts()[0].enabled
        assert time.monotonic() - started < 1
    assert not ledger.get("f1").enabled


def test_threads_add_at_once(path: Path) -> None:
    parsed = parse_sentence("The torch is in the hall.")
    Ledger(path, create=True).close()

    def work() -> None:
        with Ledger(path) as mine:
            for _ in range(5):
                mine.add(parsed)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Ledger(path) as ledger:
        assert [fact.id for fact in ledger.facts()] == [f"f{number}" for number in range(1, 21)]


def test_created_by_several_at_once(path: Path) -> None:
    def work() -> None:
        with Ledger(path, create=True) as mine:
            mine.add(parse_sentence("The torch is in the hall."))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Ledger(path) as ledger:
        assert len(ledger.facts()) == 6
    assert not list(path.parent.glob(".ledger-*"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_while_adding_nothing_said_is_lost(path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from homeedit.facts.ledger import Ledger; from homeedit.facts.parse import parse_sentence\n"
        "ledger = Ledger(Path(sys.argv[1]), create=True)\n"
        "while True: print(ledger.add(parse_sentence('The torch is in the hall.')).id, flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        said = [process.stdout.readline().strip() for _ in range(5)]
        process.kill()
        said += [line.strip() for line in process.stdout if line.endswith("\n")]
    with Ledger(path) as ledger:
        kept = [fact.id for fact in ledger.facts()]
    assert kept[: len(said)] == said and len(kept) - len(said) <= 1
