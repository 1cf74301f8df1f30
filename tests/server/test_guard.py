"""Who may ask, how much, what the log says; and our own routes."""

import json
import logging
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from homeedit.server.options import ServerOptions
from tests.server.fakes import STATE, FakeEngine, ask, says

KEY = "a-secret-kéy"
WITH_KEY = {"api_key": KEY}
ROUTES = [
    ("GET", "/"),
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/api/tags"),
    ("POST", "/api/chat"),
    ("GET", "/metrics"),
    ("GET", "/builds"),
    ("GET", "/openapi.json"),
    ("GET", "/no/such/route"),
    ("GET", "/api/nothing"),
    ("GET", "/health/"),
    ("GET", "//health"),
    ("OPTIONS", "/v1/models"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_but_health_wants_the_key(method: str, path: str) -> None:
    for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": KEY.encode()}, {"x-api-key": "wrong"}):
        answer = ask(FakeEngine(), method, path, options=WITH_KEY, headers=given)
        assert answer.status_code == 401
        error = answer.json()["error"]
        assert isinstance(error, str) if path.startswith("/api") else error["code"] == "invalid_api_key"
    for right in ({"authorization": f"Bearer {KEY}".encode()}, {"x-api-key": KEY.encode()}):
        assert ask(FakeEngine(), method, path, options=WITH_KEY, headers=right).status_code != 401


def test_health_needs_no_key_and_the_key_is_never_shown() -> None:
    answer = ask(FakeEngine(), "GET", "/health", options=WITH_KEY)
    assert answer.status_code == 200 and answer.json()["status"] == "ok"
    assert KEY not in repr(ServerOptions(api_key=KEY))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("192.168.1.2", 403),
        ("", 403),
    ],
)
def test_on_loopback_only_its_own_names_are_answered(host: str, status: int) -> None:
    assert ask(FakeEngine(), "GET", "/health", headers={"host": host}).status_code == status
    open_to_all = {"host": "0.0.0.0", "api_key": "k"}
    assert ask(FakeEngine(), "GET", "/health", headers={"host": host}, options=open_to_all).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8080", 200),
        ("https://chat.example", 200),
        ("https://evil.example", 403),
        ("http://localhost:9999", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
def test_pages_of_other_origins_are_refused(origin: str, status: int) -> None:
    options = {"origins": ("https://chat.example",)}
    answer = ask(FakeEngine(), "GET", "/v1/models", headers={"origin": origin}, options=options)
    assert answer.status_code == status
    assert (answer.headers.get("access-control-allow-origin") == origin) == (origin == "https://chat.example")


def test_a_named_origin_may_send_its_key_from_a_browser() -> None:
    options = {"origins": ("https://chat.example",), **WITH_KEY}
    asking = {
        "origin": "https://chat.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    answer = ask(FakeEngine(), "OPTIONS", "/v1/chat/completions", headers=asking, options=options)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://chat.example"
    assert "authorization" in answer.headers["access-control-allow-headers"]
    evil = asking | {"origin": "https://evil.example"}
    answer = ask(FakeEngine(), "OPTIONS", "/v1/chat/completions", headers=evil, options=options)
    assert "access-control-allow-origin" not in answer.headers


def test_without_named_origins_there_is_no_cors() -> None:
    answer = ask(FakeEngine(), "GET", "/v1/models", headers={"origin": "http://localhost:8080"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def chunks(size: int) -> Any:
    async def parts() -> Any:
        for _ in range(size // 1000):
            yield b" " * 1000

    return parts()


def test_large_bodies_are_refused() -> None:
    options = {"max_body": 10_000}
    for content in (b" " * 10_001, chunks(11_000)):
        answer = ask(FakeEngine(), "POST", "/api/chat", content=content, options=options)
        assert answer.status_code == 413 and "10000" in answer.json()["error"]
    fits = json.dumps({"model": "homeedit", "prompt": "x"}).ljust(10_000).encode()
    assert ask(FakeEngine(), "POST", "/v1/completions", content=fits, options=options).status_code == 200


def test_compressed_bodies_are_refused() -> None:
    answer = ask(FakeEngine(), "POST", "/api/chat", content=b"\x1f\x8b", headers={"content-encoding": "gzip"})
    assert answer.status_code == 415


def test_unknown_routes_and_methods() -> None:
    assert ask(FakeEngine(), "GET", "/nothing").json()["error"]["code"] == "not_found"
    answer = ask(FakeEngine(), "GET", "/v1/chat/completions")
    assert answer.status_code == 405 and answer.headers["allow"] == "POST"
    assert ask(FakeEngine(), "DELETE", "/api/tags").json()["error"]
    for path in ("/docs", "/redoc", "/v1/models/"):
        assert ask(FakeEngine(), "GET", path).status_code == 404


def test_the_log_has_a_line_for_each_request_and_nothing_of_its_text(caplog: pytest.LogCaptureFixture) -> None:
    body = {"model": "homeedit", "messages": [{"role": "user", "content": "secret question"}], "stream": True}
    with caplog.at_level(logging.INFO):
        engine = FakeEngine(says("secret answer"))
        ask(engine, "POST", "/v1/chat/completions?q=secret", json=body, headers={"x-api-key": "secret key"})
        ask(engine, "GET", "/secret/path")
        ask(engine, "SECRET", "/v1/models/secret")
    lines = [each.getMessage() for each in caplog.records if each.name == "homeedit.server"]
    assert len(lines) == 3
    assert lines[0].startswith("POST /v1/chat/completions 200 ") and lines[0].endswith("s 2 tokens")
    assert lines[1].startswith("GET - 404 ") and lines[2].startswith("- ")
    others = [each.getMessage() for each in caplog.records if each.name != "httpx"]
    assert "secret" not in " ".join(others).lower()


def test_health_tells_how_it_is() -> None:
    engine = FakeEngine()
    engine.now = replace(STATE, problem="Build 8 could not be loaded.")
    found = ask(engine, "GET", "/health").json()
    assert (found["status"], found["problem"], found["build"]) == ("degraded", "Build 8 could not be loaded.", 7)
    assert found["uptime"] > 0 and found["tokens_per_second"] == 41.5
    wanted = {"model", "since", "mode", "requests", "running", "waiting", "version"}
    assert wanted <= set(found)


def test_builds_tell_what_is_live() -> None:
    found = ask(FakeEngine(), "GET", "/builds").json()
    assert found["live"]["build"] == 7 and found["live"]["facts"] == 30
    assert [each["loaded"] for each in found["models"]] == [True, False]


def test_metrics_are_what_prometheus_reads() -> None:
    answer = ask(FakeEngine(), "GET", "/metrics")
    families = {each.name: each for each in text_string_to_metric_families(answer.text)}
    assert families["homeedit_answer_tokens"].samples[0].value == 20
    assert families["homeedit_build"].samples[0].value == 7


def test_the_metrics_of_two_apps_are_apart() -> None:
    import asyncio

    import httpx

    from homeedit.server.app import make_app

    apps = [make_app(FakeEngine(), ServerOptions()) for _ in range(2)]

    async def asked() -> list[str]:
        texts = []
        for app in apps:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
                await client.get("/api/tags")
                if app is apps[0]:
                    await client.get("/not/there")
                texts.append((await client.get("/metrics")).text)
        return texts

    first, second = asyncio.run(asked())
    assert 'homeedit_http_request_seconds_count{route="/api/tags",status="200"} 1.0' in first
    assert 'route="-",status="404"' in first and 'status="404"' not in second


def test_the_schema_names_the_bodies() -> None:
    schema = ask(FakeEngine(), "GET", "/openapi.json").json()
    body = schema["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    chat = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert {"model", "messages"} <= set(chat["required"]) and chat["properties"]["max_tokens"]
    assert "422" not in json.dumps(schema["paths"]["/v1/chat/completions"]["post"]["responses"])
