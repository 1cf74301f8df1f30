"""Builds that go live while clients ask, and those that cannot."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from homeedit.builds.history import open_build, read_manifest
from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.household.serving import models, watching
from homeedit.household.serving.engine import Serving
from homeedit.household.serving.models import SharedModel
from homeedit.household.serving.requests import BASE
from homeedit.patches.container import replace_file
from homeedit.runtime.llama import Runtime
from tests.household.conftest import World
from tests.household.serving import answer, ask, question, teach_loudly, until

SENTENCES = ("The spare key is under the mat.", "The rake is in the shed.", "The torch is in the drawer.")


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.01)


@pytest.fixture
def built(household: Household, world: World, monkeypatch: pytest.MonkeyPatch) -> Household:
    """A home with the builds 1 and 2; 2 is active."""
    teach_loudly(household, SENTENCES[:2], monkeypatch)
    return household


@pytest.fixture
def serving(built: Household) -> Iterator[Serving]:
    with built.serve() as opened:
        yield opened


def gguf(household: Household, build: int) -> Path:
    return household.home.models / "tiny" / "builds" / str(build) / "model.gguf"


def said_by(file: Path) -> str:
    with Runtime(file, threads=1) as runtime:
        return runtime.chat("Where is the spare key?", max_tokens=12)


def live(serving: Serving, build: int | None) -> None:
    until(lambda: serving.state().build == build)


def test_an_answer_ends_on_the_build_it_began_with(built: Household, serving: Serving) -> None:
    expected = {build: said_by(gguf(built, build)) for build in (1, 2)}
    running = ask(serving, question(), hold_at=2)
    assert running.held.wait(30)
    after = ask(serving, question())
    built.use(1)
    until(lambda: len(serving._queue._urgent) == 1)  # loaded, and waiting for the answer to end
    assert serving.state().build == 2 and not running.ended.is_set()
    running.go.set()
    assert running.end.build == 2 and running.text.strip() == expected[2]
    assert after.end.build == after.began.build == 1 and after.text.strip() == expected[1]
    state = serving.state()
    assert (state.build, state.swaps, state.problem, state.facts) == (1, 1, "", 1)


def test_what_is_listed_follows(built: Household, serving: Serving) -> None:
    base = built.workspace.base()
    for number, facts in ((2, 2), (1, 1)):
        built.use(number)
        live(serving, number)
        served, _ = serving.models()
        build = open_build(base, number)
        assert served.digest == read_manifest(build)["sha256"] and served.modified == build.created
        assert (served.build, serving.state().facts) == (number, facts) and served.gguf == str(build.gguf)


def test_a_compile_goes_live(built: Household, serving: Serving) -> None:
    assert serving.state().build == 2
    built.add(SENTENCES[2])
    built.compile()
    live(serving, 3)
    assert answer(serving).end.build == 3


def test_the_old_build_is_freed_and_may_be_deleted(
    built: Household, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Path] = []
    close = SharedModel.close
    monkeypatch.setattr(SharedModel, "close", lambda model: (closed.append(model.key[0]), close(model))[1])
    built.use(1)
    live(serving, 1)
    until(lambda: gguf(built, 2) in closed)
    assert gguf(built, 1) not in closed
    # Deleting what is served is not what `prune` does, and does not matter either.
    expected = answer(serving).text
    gguf(built, 1).unlink()
    assert answer(serving).text == expected


def test_a_damaged_build_leaves_the_old_one(built: Household, serving: Serving) -> None:
    expected = answer(serving).text
    whole = gguf(built, 1).read_bytes()
    gguf(built, 1).write_bytes(whole[:5000])
    replace_file(built.home.models / "tiny" / "active", b"1\n")
    until(lambda: serving.state().problem)
    problem = serving.state().problem
    assert "Build 1 is damaged" in problem and "build 2 is served" in problem
    # Whoever asks /health reads this, without a key.
    assert str(built.home.root) not in problem
    assert answer(serving).end.build == 2 and answer(serving).text == expected
    gguf(built, 1).write_bytes(whole)
    built.use(1)
    live(serving, 1)
    until(lambda: serving.state().problem == "")


def test_a_build_that_llama_cannot_load_leaves_the_old_one(built: Household, serving: Serving) -> None:
    size = gguf(built, 1).stat().st_size
    gguf(built, 1).write_bytes(b"GGUF" + bytes(size - 4))
    built.use(1)
    until(lambda: serving.state().problem)
    assert "model.gguf" in serving.state().problem and str(built.home.root) not in serving.state().problem
    assert answer(serving).end.build == 2
    built.use(2)
    until(lambda: serving.state().problem == "")
    assert serving.state().swaps == 0


def test_a_base_that_is_gone_is_said_without_its_place(built: Household, serving: Serving) -> None:
    base = built.workspace.base().gguf
    base.rename(base.with_suffix(".away"))
    failure = answer(serving, question(model=BASE)).failure
    assert failure.kind == "failed" and base.name in failure.message and str(built.home.root) not in failure.message
    base.with_suffix(".away").rename(base)
    assert answer(serving, question(model=BASE)).end.build is None


def test_a_number_that_is_none(built: Household, serving: Serving) -> None:
    replace_file(built.home.models / "tiny" / "active", b"first\n")
    until(lambda: "damaged" in serving.state().problem)
    replace_file(built.home.models / "tiny" / "active", b"77\n")
    until(lambda: "no build 77" in serving.state().problem)
    assert answer(serving).end.build == 2


def test_starting_with_a_damaged_build_serves_the_one_before(built: Household) -> None:
    gguf(built, 2).write_bytes(b"GGUF" + bytes(gguf(built, 2).stat().st_size - 4))
    with built.serve() as serving:
        assert answer(serving).end.build == 1
        assert "build 1 is served" in serving.state().problem
    gguf(built, 1).unlink()
    with pytest.raises(HomeEditError):
        built.serve()


def test_the_base_is_served_when_no_build_is_active(built: Household, serving: Serving, loads: list[str]) -> None:
    expected = said_by(built.workspace.base().gguf)
    built.use(None)
    live(serving, None)
    assert answer(serving).text.strip() == expected
    loads.clear()
    heard = answer(serving, question(model=BASE))
    assert (heard.text.strip(), heard.end.loading, loads) == (expected, 0, [])
    built.use(2)
    live(serving, 2)
    assert loads == ["2"] and answer(serving).end.build == 2


def test_the_base_that_was_only_served_is_freed(built: Household, serving: Serving) -> None:
    built.use(None)
    live(serving, None)
    assert [model.loaded for model in serving.models()] == [True, True]
    built.use(2)
    live(serving, 2)
    assert [model.loaded for model in serving.models()] == [True, False]


def test_the_base_is_loaded_when_it_is_asked_and_stays(built: Household, serving: Serving, loads: list[str]) -> None:
    assert [model.loaded for model in serving.models()] == [True, False] and loads == []
    first, second = (answer(serving, question(model=BASE)) for _ in range(2))
    assert loads == ["tiny"] and first.end.loading > 0 and second.end.loading == 0
    assert first.end.build is None and first.text.strip() == said_by(built.workspace.base().gguf)
    assert [model.loaded for model in serving.models()] == [True, True]
    loads.clear()
    built.use(1)
    live(serving, 1)
    answer(serving, question(model=BASE))
    built.use(None)
    live(serving, None)
    assert loads == ["1"]


def test_with_little_memory_the_old_goes_first(
    built: Household, serving: Serving, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10_000_000))
    running = ask(serving, question(), hold_at=1)
    assert running.held.wait(30)
    built.use(1)
    until(lambda: serving.state().note)
    assert "memory" in serving.state().note and loads == []
    running.go.set()
    assert running.end.build == 2
    live(serving, 1)
    assert loads == ["1"] and answer(serving).end.build == 1
    # One that does not load: the old one is loaded again.
    gguf(built, 2).write_bytes(b"GGUF" + bytes(gguf(built, 2).stat().st_size - 4))
    built.use(2)
    until(lambda: serving.state().problem)
    assert answer(serving).end.build == 1
    monkeypatch.undo()


def test_a_container_has_what_it_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    monkeypatch.setattr(models, "_CONTAINER", tmp_path)
    assert models._available() == 1000
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 600\ninactive_file 50\n")
    for limit, available in (("max", 1000), ("900", 250), ("5000", 1000)):
        (tmp_path / "memory.max").write_text(limit + "\n")
        assert models._available() == available


def test_settings_that_are_broken_and_mended(built: Household, serving: Serving) -> None:
    file = built.home.settings_file
    whole = file.read_text()
    file.write_text("model = [")
    until(lambda: "TOML" in serving.state().problem)
    assert answer(serving).end.build == 2
    file.write_text(whole)
    until(lambda: serving.state().problem == "")


def test_nobody_fails_while_builds_are_exchanged(built: Household, serving: Serving) -> None:
    stop = threading.Event()
    ends: list[object] = []
    failed: list[object] = []

    def client(name: str) -> None:
        while not stop.is_set():
            heard = ask(serving, question(max_tokens=4), client=name)
            (ends if type(heard.last).__name__ == "Ended" else failed).append(heard.last)

    clients = [threading.Thread(target=client, args=(name,)) for name in "abcdefgh"]
    for each in clients:
        each.start()
    for number in (1, 2, None, 1, 2):
        built.use(number)
        live(serving, number)
    stop.set()
    for each in clients:
        each.join(60)
    assert not failed and len(ends) > 8 and serving.state().swaps == 5


def test_builds_of_a_base_share_its_vocabulary(built: Household, serving: Serving) -> None:
    served = serving._models.voices.served.model.load().vocabulary
    built.use(1)
    live(serving, 1)
    assert serving._models.voices.served.model.load().vocabulary is served
    answer(serving, question(model=BASE))
    assert serving._models.voices.base.model.load().vocabulary is served


def test_models_load_their_own_vocabulary_where_the_bases_is_damaged(built: Household) -> None:
    expected = said_by(gguf(built, 2))
    damaged = built.workspace.base().gguf
    damaged.write_bytes(b"None" + damaged.read_bytes()[4:])
    with built.serve() as serving:
        assert serving.state().build == 2
        assert answer(serving).text.strip() == expected


def test_who_answers_leaves_a_core_to_what_is_loaded_and_takes_it_back(
    built: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Serving(lambda: built.workspace, threads=3) as serving:
        answer(serving, question(model=BASE))
        before = serving._models.voices
        found: list[list[int]] = []
        load = SharedModel.load

        def told() -> list[int]:
            return [load(model)._threads for model in before.models]

        def loading(model: SharedModel) -> Runtime:
            if not model.loaded:
                found.append(told())
            return load(model)

        monkeypatch.setattr(SharedModel, "load", loading)
        built.use(1)
        live(serving, 1)
        assert found == [[2, 2]], "the served model and the base"
        assert before.base.model.load()._threads == 3

        def failing(model: SharedModel) -> Runtime:
            found.append(told())
            raise HomeEditError("No.")

        before = serving._models.voices
        monkeypatch.setattr(SharedModel, "load", failing)
        built.use(2)
        until(lambda: serving.state().problem)
        assert found[-1] == [2, 2] and told() == [3, 3]
        monkeypatch.setattr(SharedModel, "load", load)
        built.use(1)


def test_many_swaps_take_no_memory_and_leave_no_thread(built: Household) -> None:
    before = threading.active_count()
    process = psutil.Process()
    with built.serve() as serving:

        def swaps(count: int) -> int:
            for number in (1, 2) * (count // 2):
                built.use(number)
                live(serving, number)
                answer(serving, question(max_tokens=2))
            return int(process.memory_info().rss)

        swaps(6)
        started = swaps(2)
        assert swaps(30) < started * 1.05 + 8 * 2**20
        assert serving.state().swaps == 38
    assert threading.active_count() == before
