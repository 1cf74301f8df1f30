"""What is typed and not stored yet stays."""

import os
import threading
from pathlib import Path

import pytest

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.settings import Home

ODD = "[red]%s {0}\x00\ud800 猫\n\t'; DROP TABLE"


def test_what_is_typed_is_there_after_a_restart(home: Home) -> None:
    assert Household(home).typed() == {}
    Household(home).keep_typed("facts.sentence", ODD)
    Household(home).keep_typed("ask", "Where")
    assert Household(home).typed() == {"facts.sentence": ODD, "ask": "Where"}
    Household(home).keep_typed("facts.sentence", "")
    Household(home).keep_typed("never typed", "")
    assert Household(home).typed() == {"ask": "Where"}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"3", b'{"ask": 3, "x": "kept"}', b"[" * 100_000])
def test_a_damaged_file_is_no_obstacle(household: Household, content: bytes) -> None:
    file = household.home.edits / "typed.json"
    file.write_bytes(content)
    assert household.typed() == ({"x": "kept"} if b"kept" in content else {})
    household.keep_typed("ask", "Where")
    assert household.typed()["ask"] == "Where"


def test_a_full_disk_leaves_what_was_kept(household: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    household.keep_typed("ask", "Where")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(HomeEditError, match="disk is full"):
            household.keep_typed("ask", "Where is")
    assert household.typed() == {"ask": "Where"}
    household.keep_typed("ask", "Where is")
    assert household.typed() == {"ask": "Where is"}


def test_two_apps_keep_each_others_texts(home: Home) -> None:
    def type_into(field: str) -> None:
        for length in range(1, 11):
            Household(home).keep_typed(field, "x" * length)

    threads = [threading.Thread(target=type_into, args=(f"field {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Household(home).typed() == {f"field {number}": "x" * 10 for number in range(4)}


def test_nothing_is_kept_where_no_home_is(tmp_path: Path) -> None:
    nowhere = Household(Home(tmp_path / "nowhere"))
    assert nowhere.typed() == {}
    with pytest.raises(HomeEditError, match="not a home"):
        nowhere.keep_typed("ask", "Where")
    assert not nowhere.home.root.exists()


def test_a_purge_forgets_what_was_typed_about_the_fact(household: Household) -> None:
    household.add("The hose is behind the shed.")
    for field in ("edit f1", "questions-f1", "edit f11", "ask"):
        household.keep_typed(field, "Behind the shed?")
    left = household.home.edits / ".typed.json.tmp"
    left.write_text("half of it")
    household.purge("f1")
    assert set(household.typed()) == {"edit f11", "ask"} and not left.exists()
