"""Builds put on the base model as adapters: the same engine, exchanged in milliseconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homeedit.household import Household
from homeedit.household.serving import watching
from homeedit.household.serving.engine import Serving
from homeedit.household.serving.requests import BASE
from homeedit.patches.export import write_gguf_lora
from homeedit.patches.file import read_delta
from homeedit.runtime.llama import Runtime
from tests.household.conftest import World
from tests.household.serving import answer, question, teach_loudly, until


@pytest.fixture
def built(household: Household, world: World, monkeypatch: pytest.MonkeyPatch) -> Household:
    """A home with the builds 1 and 2; 2 is active."""
    teach_loudly(household, ("The spare key is under the mat.", "The rake is in the shed."), monkeypatch)
    return household


@pytest.fixture
def serving(built: Household, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.01)
    with built.serve(live_lora=True) as opened:
        yield opened


def expected(household: Household, build: int, folder: Path) -> str:
    """What the base model says with that build's change on it."""
    base = household.workspace.base()
    adapter = folder / f"{build}.gguf"
    write_gguf_lora(adapter, read_delta(base.builds / str(build) / "delta.safetensors"), base)
    with Runtime(base.gguf, threads=1, adapter=adapter) as runtime:
        return runtime.chat("Where is the spare key?", max_tokens=12)


def test_answers_are_those_of_the_adapter(built: Household, serving: Serving, tmp_path: Path) -> None:
    with Runtime(built.workspace.base().gguf, threads=1) as runtime:
        base = runtime.chat("Where is the spare key?", max_tokens=12)
    texts = {build: expected(built, build, tmp_path) for build in (1, 2)}
    assert len({base, *texts.values()}) == 3
    for build in (2, 1, 2):
        built.use(build)
        until(lambda build=build: serving.state().build == build)
        for _ in range(2):
            heard = answer(serving)
            assert (heard.text.strip(), heard.end.build) == (texts[build], build)
            heard = answer(serving, question(model=BASE))
            assert (heard.text.strip(), heard.end.build, heard.end.loading) == (base, None, 0)
    built.use(None)
    until(lambda: serving.state().build is None)
    assert answer(serving).text.strip() == base
    state = serving.state()
    assert (state.mode, state.swaps, state.problem) == ("live-lora", 3, "")


def test_one_model_is_in_memory_and_one_adapter_on_disk(built: Household, serving: Serving) -> None:
    served, base = serving.models()
    assert served.gguf == base.gguf and served.loaded and base.loaded
    assert served.digest != base.digest and (served.build, base.build) == (2, None)
    folder = Path(serving._models._folder.name)
    for build in (1, 2, 1):
        built.use(build)
        until(lambda build=build: serving.state().build == build)
        until(lambda: len(list(folder.iterdir())) == 1)
    serving.close()
    assert not folder.exists()


def test_a_change_that_is_damaged_leaves_the_old_one(built: Household, serving: Serving) -> None:
    before = answer(serving).text
    delta = built.workspace.base().builds / "1" / "delta.safetensors"
    delta.write_bytes(delta.read_bytes()[:-10])
    built.use(1)
    until(lambda: serving.state().problem)
    assert "truncated" in serving.state().problem and "build 2 is served" in serving.state().problem
    assert answer(serving).text == before


def test_a_build_that_changes_nothing_is_the_base(built: Household, serving: Serving) -> None:
    for fact in built.facts():
        built.disable([fact.id])
    built.compile()
    until(lambda: serving.state().build == 3)
    assert answer(serving).text == answer(serving, question(model=BASE)).text


def test_a_system_that_clears_its_temporary_files_takes_no_build_away(built: Household, serving: Serving) -> None:
    before = answer(serving).text
    for file in Path(serving._models._folder.name).iterdir():
        file.unlink()
    assert answer(serving, question(model=BASE)).text != before
    assert answer(serving).text == before
