"""A whole compile on a device that only pretends to be one: no tensor is left behind on the CPU by mistake."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from homeedit.base.load import load_model
from homeedit.base.store import BaseModel
from homeedit.editing import compile as compiling
from homeedit.editing import statistics as statistics_module
from homeedit.editing.compile import Compiled, Parent, compile_facts
from homeedit.editing.recipes import recipe_for
from homeedit.editing.statistics import Statistics, make_second_moments
from homeedit.facts.fact import Fact
from homeedit.progress import Progress
from tests.editing.helpers import CODE, KEY
from tests.editing.test_devices import off
from tests.support.elsewhere import elsewhere


@pytest.fixture(params=[True, False], ids=["like CUDA", "like MPS"])
def pretended(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The pretended device, a context; like MPS it has no float64, and systems are solved on the CPU."""
    if not request.param:
        for part in ("methods.joint", "methods.descent", "methods.spread", "devices"):
            monkeypatch.setattr(f"homeedit.editing.{part}.solving_device", lambda _: torch.device("cpu"))

    def loaded(base: BaseModel, where: str, dtype: torch.dtype) -> Any:
        return load_model(base, "cpu", torch.float32).to(where)

    monkeypatch.setattr(compiling, "load_model", loaded)
    monkeypatch.setattr(statistics_module, "load_model", loaded)
    return elsewhere(doubles=request.param)


def compiled(base: BaseModel, device: str, method: str, fact: Fact, kept: Sequence[Parent]) -> Compiled:
    few = {"steps": 8, "steps_per_root_fact": 4.0, "most_directions": 64, "most_repeats": 1, "repeat_steps": 2}
    recipe = replace(recipe_for(method, base), **few)  # type: ignore[arg-type]
    return compile_facts(
        [fact], base=base, kept=kept, recipe=recipe, seed=0, device=device, threads=1, progress=Progress()
    )


@pytest.mark.parametrize("method", ["joint", "alphaedit"])
def test_a_compile_on_top_of_a_patch_runs_where_it_is_told_to(base: BaseModel, pretended: Any, method: str) -> None:
    first = compiled(base, "cpu", method, KEY, [])
    parents = [Parent((KEY,), first.delta, first.keys)]
    wanted = compiled(base, "cpu", method, CODE, parents)
    with pretended as device:
        found = compiled(base, device, method, CODE, parents)
    for layer, change in wanted.delta.items():
        ours, keys = found.delta[layer], torch.from_numpy(found.keys[layer])
        assert off(
            torch.from_numpy(ours.B).float() @ torch.from_numpy(ours.A).float(),
            torch.from_numpy(change.B).float() @ torch.from_numpy(change.A).float(),
        ) < (0.02 if method == "alphaedit" else 0.2)
        assert off(keys, torch.from_numpy(wanted.keys[layer])) < 0.1


def test_second_moments_are_summed_where_the_model_is(base: BaseModel, pretended: Any, tmp_path: Any) -> None:
    known = Statistics(base.statistics, base.fingerprint).second_moment(1)
    with pretended as device:
        make_second_moments(base, (0, 1), tmp_path / "moments", device=device, threads=1, progress=Progress())
    assert off(Statistics(tmp_path / "moments", base.fingerprint).second_moment(1), known) < 2e-2
