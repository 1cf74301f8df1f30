"""The closed form at the size of an 8-billion-parameter model, against the published dense formula.

Sizes of Llama-3-8B. Random numbers from a seed: the time of either does not depend on the values. Products of
matrices and solves are cubic in their sizes, so with every size shrunk by the same factor the dense formula's time
is extrapolated by the cube of that factor.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from homeedit.editing.preserved import NullSpace
from homeedit.editing.solve import closed_form
from homeedit.errors import HomeEditError
from homeedit.evaluation.speed.machine import available_memory
from homeedit.evaluation.speed.measurement import Measurement
from homeedit.evaluation.speed.reference import published_form
from homeedit.evaluation.speed.setup import Setup

FULL_NEEDS = 10 * 10**9
"""Bytes that must be free for the dense formula at full size: seven matrices of 822 MB, and room."""
RIDGE = 1.0
REPEATS = 3
"""Of which the fastest counts, on either side; the dense formula at full size runs once."""
DENSE_SIZES = (1024, 2048, 4096)
"""d_ff at which the dense formula is measured."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """A layer and the number of keys solved for. Of d_ff directions an eighth is projected out, as the recipe's
    threshold does in SmolLM2-135M (10 to 16 %)."""

    d_ff: int = 14336
    d_model: int = 4096
    keys: int = 500

    def shrunk(self, d_ff: int) -> "Sizes":
        """All sizes by the same factor."""
        return Sizes(d_ff, max(1, self.d_model * d_ff // self.d_ff), max(1, self.keys * d_ff // self.d_ff))

    @property
    def cheap_bytes(self) -> int:
        """Bytes held by ``closed_form`` in float64: U, keys and projected keys, Gram matrix and its solution, A; R."""
        wide = self.d_ff * (self.d_ff // 8 + 3 * self.keys)
        return 8 * (wide + 2 * self.keys**2 + self.keys * self.d_model)

    @property
    def dense_bytes(self) -> int:
        """Bytes held by ``published_form`` in float32: P, H, K Kᵀ + H, system and its factors; right side, Δ."""
        return 4 * (5 * self.d_ff**2 + 2 * self.d_ff * self.d_model + self.keys * (self.d_ff + self.d_model))


LLAMA_8B = Sizes()


def measure(setup: Setup, sizes: Sizes = LLAMA_8B, dense: tuple[int, ...] = DENSE_SIZES) -> Iterator[Measurement]:
    """Time both forms; the dense one at small d_ff, or with ``full`` at its real size."""
    torch.set_num_threads(setup.threads)
    if setup.full:
        _refuse_without_memory()
    where = f"d_ff {sizes.d_ff}, d_model {sizes.d_model}, {sizes.keys} keys"
    setup.progress.stage("closed form", None)
    double = cheap_seconds(sizes, torch.float64, setup.seed)
    single = cheap_seconds(sizes, torch.float32, setup.seed)
    yield Measurement("solve, closed form", double, "s", note=f"measured, float64 as compiles run it; {where}")
    yield Measurement("solve, closed form in float32", single, "s", note=f"measured; {where}")
    found: dict[int, float] = {}
    for d_ff in (sizes.d_ff,) if setup.full else dense[:-1] if setup.quick else dense:
        setup.progress.stage(f"dense formula at d_ff {d_ff}", None)
        small = sizes.shrunk(d_ff)
        found[d_ff] = dense_seconds(small, setup.seed, 1 if setup.full else REPEATS)
        note = f"measured, float32; d_model {small.d_model}, {small.keys} keys"
        yield Measurement(f"solve, dense formula at d_ff {d_ff}", found[d_ff], "s", note=note)
    whole, how = _at_full_size(found, sizes)
    if not setup.full:
        yield Measurement(f"solve, dense formula at d_ff {sizes.d_ff}", whole, "s", note=how)
    yield Measurement(
        "solve, dense / closed form", whole / single, "x", ">= 100", f"both float32; dense side {how.split(',')[0]}"
    )
    yield Measurement("solve, dense / closed form in float64", whole / double, "x", note="float32 against float64")
    yield Measurement("solve, held by the closed form", sizes.cheap_bytes / 1e6, "MB", note="counted, float64")
    yield Measurement("solve, held by the dense formula", sizes.dense_bytes / 1e9, "GB", note="counted, float32")


def _refuse_without_memory() -> None:
    free = available_memory()
    if free is not None and free < FULL_NEEDS:
        raise HomeEditError(
            f"The dense formula at full size needs {FULL_NEEDS / 1e9:.0f} GB; {free / 1e9:.1f} GB are free.",
            "Leave out --full: it is then measured at small sizes and extrapolated.",
        )


def _at_full_size(found: dict[int, float], sizes: Sizes) -> tuple[float, str]:
    """Seconds of the dense formula at full size, and how they were come by."""
    largest = max(found)
    if largest == sizes.d_ff:
        return found[largest], "measured"
    how = f"extrapolated, from d_ff {largest} by the cube of d_ff"
    if len(found) > 1:
        before = sorted(found)[-2]
        power = math.log(found[largest] / found[before]) / math.log(largest / before)
        how += f"; between the last two measured sizes time grew by the power {power:.1f}"
    return found[largest] * (sizes.d_ff / largest) ** 3, how


def cheap_seconds(sizes: Sizes, dtype: torch.dtype, seed: int) -> float:
    """Seconds of ``closed_form``."""
    keys, residuals, space = _problem(sizes, dtype, seed)
    earlier = keys.new_zeros(0, sizes.d_ff)
    return _least(lambda: closed_form(keys, residuals, earlier, space, RIDGE), REPEATS)


def dense_seconds(sizes: Sizes, seed: int, times: int) -> float:
    """Seconds of ``published_form``, the least of some times; P and history are made before."""
    keys, residuals, space = _problem(sizes, torch.float32, seed)
    projector = space.project(torch.eye(sizes.d_ff))
    history = torch.zeros(sizes.d_ff, sizes.d_ff)
    return _least(lambda: published_form(keys, residuals, history, projector, RIDGE), times)


def _problem(sizes: Sizes, dtype: torch.dtype, seed: int) -> tuple[Tensor, Tensor, NullSpace]:
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randn(sizes.keys, sizes.d_ff, generator=generator)
    residuals = torch.randn(sizes.keys, sizes.d_model, generator=generator)
    basis, _ = torch.linalg.qr(torch.randn(sizes.d_ff, sizes.d_ff // 8, generator=generator))
    return keys.to(dtype), residuals.to(dtype), NullSpace(basis.to(dtype))


def _least(work: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
