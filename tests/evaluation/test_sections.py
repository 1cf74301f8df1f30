"""Every section measures what it says, at the smallest sizes."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from homeedit.base.store import open_base
from homeedit.editing.delta import concatenate
from homeedit.errors import HomeEditError
from homeedit.evaluation.speed import SECTIONS, commands, compiles, growth, reference, solve, statistics
from homeedit.evaluation.speed.facts import read_sentences, repeated
from homeedit.evaluation.speed.machine import machine, peak_growth, peak_memory
from homeedit.evaluation.speed.measurement import Measurement
from homeedit.evaluation.speed.report import MEASURES, chosen_sections, ratios
from homeedit.evaluation.speed.setup import Setup, StageClock
from homeedit.progress import Progress
from tests.evaluation.conftest import contents

ROOT = Path(__file__).parents[2]
FAKES = (sys.executable, "-m", "tests.cli.driver", "plain")


def test_the_shipped_sentences_are_understood_and_repeated_under_other_subjects() -> None:
    sentences = read_sentences(None)
    assert len(sentences) == 30 and len({parsed.relation for parsed in sentences}) >= 6
    facts = repeated(sentences, 95)
    assert len({fact.sentence for fact in facts}) == 95 == len({fact.id for fact in facts})
    assert facts[30].subject == f"{facts[0].subject} 2" and facts[30].subject in facts[30].prompt
    assert all(fact.subject in fact.sentence for fact in facts)
    assert all("{" not in line or line.startswith("{") for line in commands.import_lines(facts).splitlines())


@pytest.mark.parametrize("text", ["", "Where is the key?\n", '{"no": "sentence"}\n', "{broken\n", "[1]\n"])
def test_a_bad_file_of_facts_is_wrong_usage(tmp_path: Path, text: str) -> None:
    file = tmp_path / "facts.txt"
    file.write_text(text)
    with pytest.raises(HomeEditError) as refused:
        read_sentences(file)
    assert refused.value.exit_code == 2 and str(file) in refused.value.message
    with pytest.raises(HomeEditError, match="cannot be read"):
        read_sentences(tmp_path / "none.txt")


def test_sections_are_chosen_by_name() -> None:
    assert tuple(MEASURES) == SECTIONS == chosen_sections("")
    assert chosen_sections("solve, reference") == ("reference", "solve")
    for wrong in ("nonsense", "solve,[/red]", ","):
        with pytest.raises(HomeEditError) as refused:
            chosen_sections(wrong)
        assert refused.value.exit_code == 2


def test_a_measurement_knows_whether_it_is_as_wanted() -> None:
    assert Measurement("a", 5.0, "x", ">= 5").met is True
    assert Measurement("a", 3.0, "x", "<= 2.5").met is False
    assert Measurement("a", 3.0, "x").met is None
    assert [Measurement("", value, "").shown for value in (12345.6, 12.34, 1.234, 0.01234)] == [
        "12,346",
        "12.3",
        "1.23",
        "0.0123",
    ]


def test_ratios_are_of_what_was_measured() -> None:
    slow, fast = Measurement(reference.ALL_ROWS, 60.0, "s/fact"), Measurement(compiles.DEFAULT, 10.0, "s/fact")
    assert ratios([slow]) == []
    (found,) = ratios([slow, fast, Measurement(f"{reference.ALL_ROWS}, stopped at loss 0.05", 30.0, "s/fact")])
    assert (found.value, found.met) == (6.0, True) and "3.0 with" in found.note


def test_reference_and_closed_form(setup: Setup) -> None:
    found = [*reference.measure(setup), *compiles.measure_closed_form(setup)]
    names = [measurement.name for measurement in found]
    assert {reference.ALL_ROWS, reference.FEW_ROWS, compiles.CLOSED_FORM} <= set(names)
    assert f"{compiles.CLOSED_FORM}, targets" in names
    assert all(measurement.value >= 0 for measurement in found)
    assert "1 fact, each costs the same by construction" in found[0].note
    assert [ratio.name for ratio in ratios(found)] == [f"{reference.FEW_ROWS} / {compiles.CLOSED_FORM}"]


def test_solve_says_what_is_measured_and_what_extrapolated(setup: Setup) -> None:
    sizes = solve.Sizes(d_ff=64, d_model=16, keys=8)
    found = {each.name: each for each in solve.measure(replace(setup, quick=False), sizes, (16, 32))}
    small, large = found["solve, dense formula at d_ff 32"], found["solve, dense formula at d_ff 64"]
    assert small.note.startswith("measured") and large.note.startswith("extrapolated")
    assert large.value == pytest.approx(small.value * 8)
    ratio = found["solve, dense / closed form"]
    assert ratio.wanted == ">= 100" and "extrapolated" in ratio.note
    whole = {each.name: each for each in solve.measure(replace(setup, full=True), sizes, (16, 32))}
    assert whole["solve, dense formula at d_ff 64"].note.startswith("measured")
    assert sizes.shrunk(32) == solve.Sizes(32, 8, 4)
    assert solve.LLAMA_8B.cheap_bytes < 1e9 < 4e9 < solve.LLAMA_8B.dense_bytes


def test_growth_stands_on_a_made_up_patch(setup: Setup) -> None:
    (found,) = growth.measure(setup, sizes=(3,), chain=False)
    assert found.name == "growth, one fact compiled on top of 3" and found.value > 0
    parent = growth.made_up_parent(setup.base, setup.facts(3), seed=0)
    for layer, part in concatenate([parent.delta]).items():
        assert part.A.shape == (12, setup.base.d_ff) and part.B.shape == (setup.base.d_model, 12)
        assert parent.keys[layer].shape == (9, setup.base.d_ff)
        size = float(((part.B.astype("f4") @ part.A.astype("f4")) ** 2).mean() ** 0.5) * setup.base.d_ff**0.5
        assert size == pytest.approx(growth.DELTA_SIZE, rel=0.3)


def test_memory_is_that_of_a_process_of_its_own(setup: Setup) -> None:
    peak, ratio = compiles.measure_memory(setup)
    assert 50 < peak.value < 5000 and ratio.wanted == "<= 2.5"
    assert ratio.value == pytest.approx(peak.value * 1e6 / (4 * setup.base.parameters))


def test_growth_of_memory_is_seen() -> None:
    with peak_growth() as growth_:
        block = bytearray(64_000_000)
        block[::4096] = bytes(len(block[::4096]))
    assert growth_.bytes > 30_000_000 and peak_memory() > growth_.bytes
    assert machine(3).note.count("3 threads") == 1


def test_statistics_are_made_elsewhere(setup: Setup) -> None:
    before = contents(setup.base.folder)
    size, seconds = statistics.measure(replace(setup, new_statistics=True))
    assert size.unit == "MB" and seconds.value > 0
    assert contents(setup.base.folder) == before
    made = setup.folder / "statistics" / "tiny" / "statistics.safetensors"
    assert made.is_file() and not made.is_symlink()


def test_a_linked_base_opens_and_shares_large_files(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "LARGEST_COPY", 10_000)
    linked = commands.link_base(setup.base, setup.folder / "models")
    assert open_base(setup.folder / "models", "tiny") == linked
    assert linked.gguf.is_symlink() and linked.weights_folder.is_symlink() and not linked.manifest.is_symlink()


def test_the_chain_and_the_commands_run_in_homes_of_their_own(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(commands, "MANY", 20)
    before = contents(setup.base.folder)
    faked = replace(setup, command=FAKES)
    names = [each.name for each in (*commands.measure_chain(faked, count=2), *commands.measure(faked))]
    assert {"compile of 2 facts, whole command", "one fact added to 2, sentence to verified answer"} <= set(names)
    assert {"homeedit --help", "fact list with 20 facts"} <= set(names) and "init" not in names
    assert contents(setup.base.folder) == before


def test_a_process_that_fails_is_told() -> None:
    with pytest.raises(HomeEditError, match="ended with 7: oh no"):
        commands.run_process([sys.executable, "-c", "import sys; print('oh no', file=sys.stderr); sys.exit(7)"])


def test_the_clock_adds_up_stages_and_hands_on() -> None:
    shown = Progress()
    clock = StageClock(shown)
    for name in ("a", "b", "a"):
        clock.stage(name, 1)
        clock.advance()
    assert list(clock.stages()) == ["a", "b"]
    shown.cancel()
    with pytest.raises(HomeEditError):
        clock.check()
