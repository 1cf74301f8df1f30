"""Making a home, and base models coming and going."""

from pathlib import Path

import pytest

from homeedit.base.store import BaseModel
from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.settings import Home, load_settings
from tests.household.conftest import Heard, World
from tests.household.test_compile import SENTENCES, states, teach
from tests.support.tiny import make_tiny_gguf


@pytest.fixture
def fresh(tmp_path: Path, no_training: None) -> Household:
    """A household whose folder does not exist yet; no compile needs torch."""
    return Household(Home(tmp_path / "new" / "home"))


def use_processor(household: Household) -> None:
    """Keep later commands from looking for another device."""
    text = household.home.settings_file.read_text()
    household.home.settings_file.write_text(text.replace('device = "auto"', 'device = "cpu"'))


def test_init_makes_everything_and_a_second_time_nothing(fresh: Household, tiny_gguf: Path, heard: Heard) -> None:
    ready = fresh.init(str(tiny_gguf), progress=heard)
    assert (ready.model, ready.home) == ("tiny", str(fresh.home.root))
    assert ready.fingerprint == fresh.models()[0].fingerprint
    assert load_settings(fresh.home).model == "tiny"
    assert fresh.facts() == []
    assert "keeping answers" in heard.stages
    made = {path: path.stat().st_mtime_ns for path in fresh.home.models.rglob("*") if path.is_file()}
    for model in (None, "tiny", str(tiny_gguf)):
        assert Household(fresh.home).init(model).fingerprint == ready.fingerprint
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_init_keeps_facts_and_settings(fresh: Household, tiny_gguf: Path, world: World) -> None:
    fresh.init(str(tiny_gguf))
    use_processor(fresh)
    again = Household(fresh.home)
    teach(again, SENTENCES[0])
    again.compile()
    again.init()
    assert states(again) == {"f1": "live"}
    assert load_settings(fresh.home).device == "cpu"


def test_init_with_another_model_changes_one_line_of_the_settings(household: Household, tmp_path: Path) -> None:
    file = household.home.settings_file
    file.write_text('# my own words\nmodel = "tiny"  # the small one\ndevice = "cpu"\nthreads = 1\n')
    Household(household.home).init(str(make_tiny_gguf(tmp_path / "second.gguf", seed=5)))
    assert file.read_text() == '# my own words\nmodel = "second"  # the small one\ndevice = "cpu"\nthreads = 1\n'


def test_an_unknown_model_is_refused_and_the_home_is_usable(fresh: Household, tiny_gguf: Path) -> None:
    with pytest.raises(HomeEditError, match="no model 'nothing'"):
        fresh.init("nothing")
    fresh.add(SENTENCES[0])
    fresh.init(str(tiny_gguf))
    assert [fact.sentence for fact in fresh.facts()] == [SENTENCES[0]]


def test_another_file_of_the_same_name_does_not_pass_for_a_known_model(
    fresh: Household, tiny_gguf: Path, tmp_path: Path
) -> None:
    fresh.init(str(tiny_gguf))
    (tmp_path / "elsewhere").mkdir()
    twin = make_tiny_gguf(tmp_path / "elsewhere" / "tiny.gguf", seed=9)
    with pytest.raises(HomeEditError, match="already, made from"):
        fresh.init(str(twin))
    base = fresh.add_model(str(twin), name="twin")
    assert [each.name for each in fresh.models()] == ["tiny", "twin"]
    assert base.fingerprint != fresh.models()[0].fingerprint


def test_switching_the_model_compiles_the_facts_for_it(
    household: Household, tiny_gguf: Path, world: World, tmp_path: Path
) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    household.add_model(str(make_tiny_gguf(tmp_path / "second.gguf", seed=5)))
    assert household.init("second").model == "second"
    assert household.builds() == ([], None)
    assert states(household) == {"f1": "compiled"}
    household.compile()
    assert states(household) == {"f1": "live"}
    assert {patch.base for patch in household.patches()} == {"tiny", "second"}


def test_removing_models(household: Household, tmp_path: Path) -> None:
    household.add_model(str(make_tiny_gguf(tmp_path / "second.gguf", seed=5)))
    household.remove_model("second")
    assert [base.name for base in household.models()] == ["tiny"]
    with pytest.raises(HomeEditError, match="model in use"):
        household.remove_model("tiny")
    with pytest.raises(HomeEditError, match="no base model"):
        household.remove_model("../home")


def test_a_damaged_model_in_use_is_told_by_all_and_can_be_replaced(
    household: Household, tiny_gguf: Path, world: World
) -> None:
    teach(household, SENTENCES[0])
    gguf = household.models()[0].gguf
    gguf.write_bytes(gguf.read_bytes()[:-100])
    for call in (household.compile, lambda: list(household.ask(["Key?"])), household.init):
        with pytest.raises(HomeEditError, match="damaged") as caught:
            call()
        assert "model remove tiny" in caught.value.hint
    assert [fact.sentence for fact in household.facts()] == [SENTENCES[0]]
    household.remove_model("tiny")
    household.init(str(tiny_gguf))
    assert household.compile().activated


def test_the_doctor_finds_a_whole_home_in_order(household: Household) -> None:
    checks = {check.check: check for check in household.doctor(full=True)}
    assert all(check.ok for check in checks.values()), checks
    for name in ("machine", "memory", "disk", "torch", "llama_cpp", "ledger", "model", "active build"):
        assert checks[name].detail


def test_a_device_asked_for_is_used_and_not_stored(household: Household) -> None:
    household.home.settings_file.unlink()
    asked = Household(household.home, device="cpu")
    assert asked.settings.device == "cpu"
    assert {check.check: check.detail for check in asked.doctor()}["device"] == "cpu is used to compile"
    asked.init("tiny")
    assert asked.settings.device == "cpu" and asked.settings.model == "tiny"
    assert load_settings(household.home).device == "auto"
    assert load_settings(household.home).model == "tiny"


def broken(household: Household) -> set[str]:
    return {check.check for check in household.doctor(full=True) if not check.ok}


def test_the_doctor_finds_what_is_wrong(household: Household, world: World, tiny_base: BaseModel) -> None:
    teach(household, SENTENCES[0])
    household.compile()
    assert broken(household) == set()
    base, build, patch = household.models()[0], household.builds()[0][0], household.patches()[0]
    patch.file.write_bytes(b"not a patch")
    build.gguf.write_bytes(build.gguf.read_bytes()[:-1])
    base.statistics.unlink()
    assert broken(household) == {"patches", "builds", "active build", "statistics"}
    weights = base.weights_folder / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(bytes(changed))
    assert "model" in broken(household)
    household.home.ledger.write_bytes(b"")
    household.home.settings_file.write_text("seed = x")
    found = {check.check for check in Household(household.home).doctor() if not check.ok}
    assert {"ledger", "settings"} <= found


def test_the_doctor_without_a_home(tmp_path: Path) -> None:
    checks = Household(Home(tmp_path / "none")).doctor()
    assert [check.check for check in checks if not check.ok] == ["home"]
    assert "homeedit init" in checks[-1].detail
