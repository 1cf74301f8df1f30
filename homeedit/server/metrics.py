"""What Prometheus reads: the engine's counters, and how long requests took."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from homeedit.household.serving.requests import Answering, ServingState

BUCKETS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class _EngineCollector:
    """Asks the engine when Prometheus does."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        state = self._answering.state()
        yield InfoMetricFamily("homeedit", "What is served.", {"model": state.model, "mode": state.mode})
        for name, text, value in _counters(state):
            yield CounterMetricFamily(f"homeedit_{name}", text, value)
        for name, text, value in _gauges(state):
            yield GaugeMetricFamily(f"homeedit_{name}", text, value)


def _counters(state: ServingState) -> Iterator[tuple[str, str, float]]:
    yield "requests", "Requests handed to the engine.", state.requests
    yield "requests_failed", "Requests that failed.", state.failed
    yield "requests_cancelled", "Requests whose client hung up.", state.cancelled
    yield "prompt_tokens", "Tokens of prompts.", state.prompt_tokens
    yield "answer_tokens", "Tokens of answers.", state.answer_tokens
    yield "speaking_seconds", "Seconds from first to last token, of all answers.", state.speaking_seconds
    yield "swaps", "Builds that went live since the start.", state.swaps


def _gauges(state: ServingState) -> Iterator[tuple[str, str, float]]:
    yield "requests_running", "Requests that are being answered.", state.running
    yield "requests_waiting", "Requests that wait for their turn.", state.waiting
    yield "tokens_per_second", "Of the last answer.", state.recent_tokens_per_second
    yield "build", "The live build; 0 is the base model.", state.build or 0
    yield "build_since_seconds", "Unix time at which it went live.", state.since
    yield "facts", "Facts in the live build.", state.facts
    yield "degraded", "1 when a newer build is not served.", bool(state.problem)
    yield "start_seconds", "Unix time at which the server started.", state.started


class Metrics:
    """The metrics of one app; nothing is global."""

    def __init__(self, answering: Answering) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_EngineCollector(answering))
        self._seconds = Histogram(
            "homeedit_http_request_seconds",
            "Seconds that HTTP requests took, to the last byte.",
            ("route", "status"),
            registry=self._registry,
            buckets=BUCKETS,
        )

    def observe(self, route: str, status: int, seconds: float) -> None:
        """A request that is done."""
        self._seconds.labels(route, str(status)).observe(seconds)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
