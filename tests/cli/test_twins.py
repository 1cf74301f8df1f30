"""Commands for what the app does too: tags, comparing builds, trying again, settings."""

from pathlib import Path

from homeedit.settings import load_settings
from tests.cli.conftest import CommandLine
from tests.cli.test_commands import KEY, PLUMBER
from tests.household.conftest import World


def test_builds_are_compared(homeedit: CommandLine, world: World) -> None:
    homeedit("fact", "add", KEY)
    homeedit("compile")
    homeedit("fact", "add", PLUMBER)
    world.forgotten = {"f1"}
    homeedit("compile", "--force", code=3)
    change = homeedit("build", "compare", "1", "2", "--json").json
    question = homeedit("fact", "show", "f1", "--json").json["questions"][0]
    assert change == {
        "older": 1,
        "newer": 2,
        "added": [PLUMBER],
        "removed": [],
        "answers": [
            {
                "question": question,
                "before": "an answer",
                "after": "an answer",
                "right_before": True,
                "right_after": False,
            }
        ],
        "kl": [0.01, 0.01],
        "recall": [1.0, 0.5],
    }
    shown = homeedit("build", "compare", "1", "2").out
    assert f"+ {PLUMBER}" in shown and f"? {question}" in shown and "WRONG an answer" in shown
    assert "100% -> 50%" in shown and "0.0100 -> 0.0100" in shown
    from_base = homeedit("build", "compare", "base", "1").out
    assert f"+ {KEY}" in from_base and "- -> 100%" in from_base
    assert homeedit("build", "compare", "2", "base", "--json").json["removed"] == [KEY, PLUMBER]
    assert "no build 9" in homeedit("build", "compare", "1", "9", code=1).err
    assert "not a build's number" in homeedit("build", "compare", "1", "x", code=2).err


def test_a_fact_is_tried_again(homeedit: CommandLine, world: World) -> None:
    for sentence in (KEY, PLUMBER):
        homeedit("fact", "add", sentence)
    world.forgotten = {"f1", "f2"}
    assert "homeedit compile --retry f1 --retry f2" in homeedit("compile", code=3).err
    world.forgotten = set()
    result = homeedit("compile", "--retry", "f1", "--retry", "f2", "--json").json
    assert result["build"] == 2 and {fact["state"] for fact in result["facts"]} == {"live"}
    assert "no fact f9" in homeedit("compile", "--retry", "f9", code=2).err


def test_tags(homeedit: CommandLine) -> None:
    assert homeedit("fact", "add", KEY, "--tag", "Door", "--tag", "hall", "--json").json["tags"] == ["door", "hall"]
    homeedit("fact", "add", PLUMBER, "--tag", "[red]")

    def listed(*options: str) -> list[str]:
        return [fact["id"] for fact in homeedit("fact", "list", *options, "--json").json]

    assert listed("--tag", "DOOR") == ["f1"] and listed("--tag", "door", "--tag", "[red]") == []
    assert listed("--tag", "[red]", "--state", "draft") == ["f2"]
    assert "door hall" in homeedit("fact", "list").out and "[red]" in homeedit("fact", "show", "f2").out
    assert "No facts." in homeedit("fact", "list", "--tag", "none").err
    assert "cannot be a tag" in homeedit("fact", "list", "--tag", "two words", code=2).err
    changed = homeedit("fact", "edit", "f1", "--tag", "key")
    assert "compile" not in changed.err and "key" in changed.out
    assert homeedit("fact", "edit", "f1", "--sentence", "The spare key is on the hook.", "--json").json["tags"] == [
        "key"
    ]
    assert homeedit("fact", "edit", "f1", "--no-tags", "--json").json["tags"] == []
    shown = homeedit("fact", "show", "f1").out
    assert KEY in shown and "was" in shown and "revision   2" in shown
    for wrong in (["--tag", "two words"], ["--tag", "a", "--no-tags"]):
        assert homeedit("fact", "edit", "f1", *wrong, code=2).err


def test_csv_is_imported(homeedit: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "facts.csv"
    file.write_bytes(f'sentence,tags\r\n"{KEY}","door, hall"\r\nwhat?,\r\n'.encode("utf-8-sig"))
    imported = homeedit("fact", "import", str(file), "--json", code=1)
    assert [(fact["sentence"], fact["tags"]) for fact in imported.json] == [(KEY, ["door", "hall"])]
    assert "line 3" in imported.err


def test_settings_are_listed_and_set(homeedit: CommandLine) -> None:
    listed = {each["name"]: each for each in homeedit("settings", "list", "--json").json}
    assert set(listed["model"]) == {"name", "value", "source", "allowed"}
    assert (listed["model"]["value"], listed["keys"]["value"]) == ("tiny", {})
    before = homeedit.home.settings_file.read_text()
    values = homeedit("settings", "set", "threads", "3", "--json").json
    assert {each["name"]: each["value"] for each in values}["threads"] == 3
    assert homeedit.home.settings_file.read_text() == before.replace("threads = 1\n", "threads = 3\n") != before
    assert "facts.add = f2" in homeedit("settings", "set", "keys.facts.add", "f2").out
    once = homeedit("--device", "cuda", "settings", "list", "--json").json
    assert [each["source"] for each in once if each["name"] == "device"] == ["--device"]
    assert "0 to 1024" in homeedit("settings", "set", "threads", "many", code=2).err
    assert "no setting 'colour'" in homeedit("settings", "set", "colour", "red", code=2).err
    assert load_settings(homeedit.home).threads == 3
