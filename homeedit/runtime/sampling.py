"""How the next token is chosen, and what is known of one that was."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from homeedit.errors import USAGE, HomeEditError


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. The default is greedy: the same question gets the same answer."""

    temperature: float = 0.0
    """0 takes the likeliest token; other values divide the logits."""
    top_k: int = 0
    """Only the likeliest k tokens; 0: all."""
    top_p: float = 1.0
    """Only the likeliest tokens that together have this probability; 1: all."""
    min_p: float = 0.0
    """Only tokens that are at least this likely, compared to the likeliest one; 0: all."""
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    """As llama.cpp has them, over the last ``penalty_window`` tokens of prompt and answer; 1, 0 and 0: none."""
    penalty_window: int = 64
    seed: int = 0
    """The same seed and prompt give the same answer, at any temperature."""
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    """Token id → what is added to its logit."""
    grammar: str = ""
    """GBNF that the answer must follow; empty: none."""
    json_schema: str = ""
    """A JSON schema (JSON text) that the answer must follow; empty: none. At most one of the two."""

    def check(self) -> None:
        """Raise HomeEditError (USAGE), which says what is allowed, for a value that is not."""
        for name, (low, high) in _RANGES.items():
            _check(name, getattr(self, name), low, high)
        for token, bias in self.logit_bias.items():
            _check(f"logit_bias of token {token}", bias, -100, 100)
        if self.grammar and self.json_schema:
            raise HomeEditError("A grammar and a JSON schema cannot be followed both.", _HINT, USAGE)


GREEDY = Sampling()

_RANGES = {
    "temperature": (0.0, 100.0),
    "top_k": (0, 2**31 - 1),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repeat_penalty": (0.01, 100.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
    "penalty_window": (0, 65536),
    "seed": (-(2**63), 2**64 - 1),
}
_HINT = "Nothing was asked of the model: correct the request."


def _check(name: str, value: float, low: float, high: float) -> None:
    # Written so that NaN, which compares to nothing, is refused.
    if not low <= value <= high:
        raise HomeEditError(f"{name} = {value!r} is not allowed: it can be from {low} to {high}.", _HINT, USAGE)


@dataclass(frozen=True, slots=True)
class Sampled:
    """A token that was chosen. ``logprob`` and ``top`` (the likeliest tokens with theirs, best first) are of the
    model's own distribution, before penalties and temperature; None and () when not asked for."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
