"""Another build becomes active, in another process, while clients ask: no request fails, no answer is mixed."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from homeedit.base.store import BaseModel
from homeedit.household import Household
from homeedit.runtime.llama import Runtime
from tests.server.live import CONTEXT, Live, make_served_home, serving, wait_for

ROOT = Path(__file__).parents[2]
QUESTION = "Where is the spare key?"
TOKENS = 12
CLIENTS = 8


def use_elsewhere(household: Household, number: int) -> None:
    """``homeedit build use N`` in a process of its own."""
    command = [sys.executable, "-m", "homeedit", "--home", str(household.home.root), "build", "use", str(number)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def whole(text: str) -> str:
    """Without what is left of a character that the limit has cut: the server leaves it out."""
    return text.strip().rstrip("\N{REPLACEMENT CHARACTER}")


def fingerprint(number: int) -> str:
    return f"homeedit-build-{number}"


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel) -> Iterator[Live]:
    household = make_served_home(tmp_path_factory.mktemp("swapped") / "home", tiny_base, builds=3)
    with serving(household) as running:
        yield running


@pytest.fixture(scope="module")
def expected(swapped: Live) -> dict[str, str]:
    """What each build answers, asked directly; they differ, or the test would prove nothing."""
    assert swapped.household is not None
    found = {}
    for build in swapped.household.builds()[0]:
        with Runtime(build.gguf, threads=1, context=CONTEXT) as runtime:
            found[fingerprint(build.number)] = whole(runtime.chat(QUESTION, max_tokens=TOKENS))
    assert len(set(found.values())) == 3
    return found


class Asking:
    """A client that asks again and again, and keeps what it heard and what went wrong."""

    def __init__(self, live: Live, streamed: bool) -> None:
        self.answers: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self._client = OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0, timeout=120)
        self._streamed = streamed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(120)
        self._client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(self._ask())
            except Exception as error:
                self.errors.append(repr(error))

    def _ask(self) -> tuple[str, str]:
        chat = self._client.chat.completions
        messages = [{"role": "user", "content": QUESTION}]
        if not self._streamed:
            answer = chat.create(model="homeedit", messages=messages, max_tokens=TOKENS)  # type: ignore[arg-type]
            return answer.system_fingerprint or "", whole(answer.choices[0].message.content or "")
        chunks = list(chat.create(model="homeedit", messages=messages, max_tokens=TOKENS, stream=True))  # type: ignore[call-overload]
        (said_by,) = {chunk.system_fingerprint for chunk in chunks}
        assert chunks[-1].choices[0].finish_reason == "length"
        return said_by, whole("".join(chunk.choices[0].delta.content or "" for chunk in chunks))


def test_no_request_fails_and_every_answer_is_of_one_build(swapped: Live, expected: dict[str, str]) -> None:
    assert swapped.household is not None
    clients = [Asking(swapped, streamed=bool(number % 2)) for number in range(CLIENTS)]
    try:
        for number in (1, 2, 3):
            if number == 1:
                use_elsewhere(swapped.household, number)
            else:  # quicker, and the same to the server: it looks at a file
                swapped.household.use(number)
            swapped.until_build(number)
            count = len(clients[0].answers)
            wait_for(lambda count=count: len(clients[0].answers) > count + 1, "more answers")  # type: ignore[misc]
    finally:
        for client in clients:
            client.stop()
    assert [client.errors for client in clients] == [[]] * CLIENTS
    answers = [answer for client in clients for answer in client.answers]
    assert {said_by for said_by, _ in answers} == set(expected)
    assert [text for said_by, text in answers] == [expected[said_by] for said_by, _ in answers]
    assert swapped.answering.state().failed == 0


def test_a_running_answer_ends_on_the_build_it_began_with(swapped: Live) -> None:
    assert swapped.household is not None
    swapped.until_build(3)
    builds, _ = swapped.household.builds()
    with Runtime(builds[-1].gguf, threads=1, context=CONTEXT) as runtime:
        expected = whole(runtime.chat(QUESTION, max_tokens=800))
    messages = [{"role": "user", "content": QUESTION}]
    with OpenAI(base_url=f"{swapped.url}/v1", api_key="none", max_retries=0, timeout=120) as client:
        stream = client.chat.completions.create(  # type: ignore[call-overload]
            model="homeedit", messages=messages, max_tokens=800, stream=True
        )
        chunks = [next(stream)]
        swapped.household.use(1)
        time.sleep(0.5)  # the other build is loaded while this answer runs
        chunks += list(stream)
        assert {chunk.system_fingerprint for chunk in chunks} == {fingerprint(3)}
        assert whole("".join(chunk.choices[0].delta.content or "" for chunk in chunks)) == expected
        swapped.until_build(1)
        after = client.chat.completions.create(model="homeedit", messages=messages, max_tokens=2)  # type: ignore[call-overload]
        assert after.system_fingerprint == fingerprint(1)
    swapped.household.use(3)
    swapped.until_build(3)


def test_a_build_that_does_not_load_leaves_the_old_one(swapped: Live, expected: dict[str, str]) -> None:
    assert swapped.household is not None
    builds, _ = swapped.household.builds()
    model = builds[0].gguf
    kept = model.read_bytes()
    model.write_bytes(b"not a model" + kept[11:])
    try:
        swapped.household.use(1)
        health = f"{swapped.url}/health"
        wait_for(lambda: httpx.get(health).json()["problem"], "the problem in /health")
        found = httpx.get(health)
        assert found.status_code == 200
        assert found.json()["status"] == "degraded" and found.json()["build"] == 3
        assert "1" in found.json()["problem"]
        asking = Asking(swapped, streamed=False)
        wait_for(lambda: asking.answers, "an answer")
        asking.stop()
        assert set(asking.answers) == {(fingerprint(3), expected[fingerprint(3)])}
    finally:
        model.write_bytes(kept)
        swapped.household.use(3)
    wait_for(lambda: httpx.get(health).json()["status"] == "ok", "no problem any more")


def test_without_a_build_the_base_answers(swapped: Live) -> None:
    assert swapped.household is not None
    swapped.household.use(None)
    swapped.until_build(None)
    asking = Asking(swapped, streamed=True)
    wait_for(lambda: asking.answers, "an answer")
    asking.stop()
    assert not asking.errors
    assert {said_by for said_by, _ in asking.answers}.isdisjoint({fingerprint(number) for number in (1, 2, 3)})
    swapped.household.use(3)
    swapped.until_build(3)
