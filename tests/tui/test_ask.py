"""The Ask pane: questions, answers that grow, two models, and the facts that an answer touches."""

import threading
import time
from collections.abc import Iterator
from typing import Self

import pytest
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Static

from homeedit.errors import HomeEditError
from homeedit.household import Household
from homeedit.household.results import Reply
from homeedit.settings import Home
from homeedit.tui.app import HomeEditApp
from homeedit.tui.panes.ask import AskPane
from homeedit.tui.panes.facts import FactsPane
from homeedit.tui.widgets.exchange import AnswerView, FactChip
from homeedit.tui.widgets.question_line import QuestionLine
from tests.household.conftest import World
from tests.tui.driver import drive, settled, until

KEY = "The spare key is under the blue flower pot."
QUESTION = "Where is the spare key?"
EDITED = "The spare key is [under] the blue flower pot."
BASE = "I do not \x1b[31mknow.\n\nAsk [/someone] else."
SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])


class FakeTalk:
    """Answers word by word; holds on before word ``hold`` until it is let go."""

    def __init__(self) -> None:
        self.build: int | None = 3
        self.hold = 10**9
        self.go = threading.Event()
        self.asked: list[tuple[str, bool]] = []
        self.ended: list[bool] = []
        self.error: Exception | None = None
        self.opened = self.closed = 0
        self.ui_threads: set[int] = set()

    def __enter__(self) -> Self:
        self.opened += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1

    def stream(self, question: str, *, base: bool = False, max_tokens: int = 160) -> Iterator[Reply]:
        self.asked.append((question, base))
        self.ui_threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error
        words = (BASE if base else EDITED).split(" ")
        build = None if base else self.build
        finished = False
        try:
            for count in range(1, len(words) + 1):
                if count == self.hold - 1:
                    time.sleep(0.06)  # what comes at once is not shown word by word
                if count >= self.hold:
                    self.go.wait(10)
                yield Reply(" ".join(words[:count]), "tiny[b]", build, 0.1 * count, count, False)
            yield Reply(" ".join(words), "tiny[b]", build, 0.1 * len(words), len(words), True)
            finished = True
        finally:
            self.ended.append(finished)


@pytest.fixture
def talk(household: Household, monkeypatch: pytest.MonkeyPatch) -> FakeTalk:
    fake = FakeTalk()
    monkeypatch.setattr(Household, "talk", lambda self: fake)
    return fake


def pane(app: HomeEditApp) -> AskPane:
    found = app.pane("ask")
    assert isinstance(found, AskPane)
    return found


def views(app: HomeEditApp) -> list[AnswerView]:
    return list(pane(app).query(AnswerView))


def text(view: AnswerView) -> str:
    return str(view.query_one(".said", Static).content)


def who(view: AnswerView) -> str:
    return str(view.query_one(".who", Static).content)


def chips(app: HomeEditApp) -> list[str]:
    return [str(chip.label) for chip in pane(app).query(FactChip)]


async def open_pane(pilot: Pilot[None], app: HomeEditApp) -> None:
    app.action_show("ask")
    await until(
        pilot, lambda: app.panes.current == "ask" and isinstance(app.focused, QuestionLine), "the pane is shown"
    )
    await settled(pilot)


async def ask(pilot: Pilot[None], app: HomeEditApp, question: str) -> None:
    pane(app).line.value = question
    before = len(pane(app).exchanges)
    pane(app).line.focus()
    await pilot.press("enter")
    await until(pilot, lambda: len(pane(app).exchanges) == before + 1, "the question is shown")


async def answered(pilot: Pilot[None], app: HomeEditApp) -> None:
    await until(pilot, lambda: views(app) and all(view.ended for view in views(app)), "the answer is complete")
    await settled(pilot)


@SIZES
def test_an_answer_grows_and_names_the_fact_it_touches(
    household: Household, talk: FakeTalk, size: tuple[int, int]
) -> None:
    household.add(KEY)
    talk.hold = 4

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        intro = str(pane(app).query_one("#intro", Static).content)
        assert "asked on its own" in intro and "do not remember" in intro
        await ask(pilot, app, QUESTION)
        await until(pilot, lambda: text(views(app)[0]) == "The spare key", "the beginning is shown")
        assert app.focused is pane(app).line and pane(app).line.value == ""
        talk.go.set()
        await answered(pilot, app)
        (view,) = views(app)
        assert text(view) == EDITED
        assert "edited model · build 3 · 0.9 s · 10 tokens/s · tiny[b]" in who(view)
        assert chips(app) == [f"touches f1: {KEY}"]
        assert talk.asked == [(QUESTION, False)] and threading.get_ident() not in talk.ui_threads
        assert view.region.bottom <= pane(app).query_one("#conversation").region.bottom

    drive(household, body, size=size)
    assert (talk.opened, talk.closed) == (1, 1)


@SIZES
def test_both_models_answer_side_by_side_where_there_is_room(
    household: Household, talk: FakeTalk, size: tuple[int, int]
) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        mode = pane(app).query_one("#mode", Static)
        assert "● edited model" in str(mode.content)
        await pilot.press("escape", "b")
        assert "● base model" in str(mode.content)
        await pilot.click("#mode")
        assert "● both side by side" in str(mode.content)
        await ask(pilot, app, QUESTION)
        await answered(pilot, app)
        base, edited = views(app)
        assert (base.side, edited.side) == ("base", "edited")
        assert text(base) == "I do not \\x1b[31mknow.\n\nAsk [/someone] else." and text(edited) == EDITED
        assert "base model" in who(base) and "build" not in who(base)
        assert sorted(talk.asked) == [(QUESTION, False), (QUESTION, True)]
        if size[0] >= 100:
            assert base.region.y == edited.region.y and base.region.right <= edited.region.x
        else:
            assert base.region.bottom <= edited.region.y and base.region.x == edited.region.x
        await pilot.press("escape", "y")
        assert QUESTION in app.clipboard and EDITED in app.clipboard and "base model:" in app.clipboard

    drive(household, body, size=size)


def test_an_answer_can_be_stopped_and_the_model_with_it(household: Household, talk: FakeTalk) -> None:
    talk.hold = 3

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await ask(pilot, app, QUESTION)
        await until(pilot, lambda: text(views(app)[0]) == "The spare", "it begins")
        pane(app).line.value = "And the other?"
        await pilot.press("enter")
        assert len(pane(app).exchanges) == 1 and pane(app).line.value == "And the other?", "nothing typed is lost"
        await pilot.press("escape", "x")
        talk.go.set()
        await answered(pilot, app)
        assert talk.ended == [False]
        assert "stopped" in who(views(app)[0])
        talk.hold = 99
        await pilot.press("a")
        assert app.focused is pane(app).line
        await pilot.press("enter")
        await until(pilot, lambda: len(views(app)) == 2, "the next is asked")
        await answered(pilot, app)
        assert text(views(app)[1]) == EDITED

    drive(household, body)


def test_earlier_questions_come_back(household: Household, talk: FakeTalk) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        line = pane(app).line
        for question in ("First?", "Second?", "Second?"):
            await ask(pilot, app, question)
            await answered(pilot, app)
        line.value = "half"
        seen = []
        for key in ("up", "up", "up", "down", "down", "down"):
            await pilot.press(key)
            seen.append(line.value)
        assert seen == ["Second?", "First?", "First?", "Second?", "half", "half"]

    drive(household, body)


def test_what_stands_in_the_line_survives_the_end_of_the_app(household: Household, talk: FakeTalk) -> None:
    async def write(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        pane(app).line.value = "Where is [the]"
        await pilot.pause()

    drive(household, write)

    async def read(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await until(pilot, lambda: pane(app).line.value == "Where is [the]", "it is back")
        await ask(pilot, app, "Where?")
        await until(pilot, lambda: household.typed() == {}, "what was asked is not kept")

    drive(household, read)


def test_another_build_is_said(household: Household, talk: FakeTalk, world: World) -> None:
    household.add(KEY)
    household.compile()
    talk.build = 1

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        def notices() -> list[str]:
            return [str(each.content) for each in pane(app).query(".notice").results(Static)]

        await open_pane(pilot, app)
        assert QUESTION in str(pane(app).query_one("#intro", Static).content)
        await ask(pilot, app, "One?")
        await answered(pilot, app)
        assert notices() == []
        talk.build = 2  # of another process
        await ask(pilot, app, "Two?")
        await answered(pilot, app)
        assert notices() == ["― Build 2 is served from here on ―"]
        order = [type(each).__name__ for each in pane(app).query_one("#conversation", VerticalScroll).children]
        assert order == ["Static", "Exchange", "Static", "Exchange"]
        app.changed()  # the home says build 1 again
        await until(pilot, lambda: len(notices()) == 2, "it is said at once")
        assert "Build 1" in notices()[1]
        await pilot.press("escape", "l")
        await until(pilot, lambda: not pane(app).exchanges and not notices(), "all is cleared")

    drive(household, body)


@pytest.mark.parametrize(
    "error",
    [HomeEditError("The model [x] is damaged.", "Run homeedit [doctor]."), RuntimeError("[bad] luck")],
    ids=["known", "unexpected"],
)
def test_an_error_stands_in_the_conversation(household: Household, talk: FakeTalk, error: Exception) -> None:
    talk.error = error

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await ask(pilot, app, QUESTION)
        await answered(pilot, app)
        said = text(views(app)[0])
        assert "✗" in said
        for part in ("The model [x] is damaged.", "[doctor]") if isinstance(error, HomeEditError) else ("[bad] luck",):
            assert part in said
        talk.error = None
        await ask(pilot, app, QUESTION)
        await answered(pilot, app)
        assert text(views(app)[1]) == EDITED

    drive(household, body)


def test_without_a_model_it_says_so(home: Home) -> None:
    for file in sorted((home.models / "tiny").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await ask(pilot, app, QUESTION)
        await answered(pilot, app)
        assert "✗" in text(views(app)[0]) and "no answer" in who(views(app)[0])

    drive(Household(home), body)


def test_a_chip_goes_to_the_fact(household: Household, talk: FakeTalk) -> None:
    household.add(KEY)
    household.add("The hose is in the shed.")

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await ask(pilot, app, QUESTION)
        await answered(pilot, app)
        await until(pilot, lambda: chips(app), "the chip is there")
        pane(app).query_one(FactChip).focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.panes.current == "facts", "Facts is shown")
        facts = app.pane("facts")
        assert isinstance(facts, FactsPane)
        await until(pilot, lambda: facts.current is not None and facts.current.fact.id == "f1", "the fact is chosen")

    drive(household, body)


def test_the_app_ends_while_an_answer_is_given(household: Household, talk: FakeTalk) -> None:
    talk.hold = 2

    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await ask(pilot, app, QUESTION)
        await until(pilot, lambda: text(views(app)[0]) == "The", "it begins")
        threading.Timer(0.3, talk.go.set).start()

    drive(household, body)
    assert talk.ended == [False] and talk.closed == 1


def test_a_real_model_answers(household: Household) -> None:
    async def body(pilot: Pilot[None], app: HomeEditApp) -> None:
        await open_pane(pilot, app)
        await pilot.press("escape", "b", "b")
        await ask(pilot, app, QUESTION)
        await answered(pilot, app)
        base, edited = views(app)
        assert base.reply is not None and edited.reply is not None
        assert base.reply.done and base.text == edited.text, "without a build both are the base model"
        assert "no build yet" in who(edited)

    drive(household, body)
