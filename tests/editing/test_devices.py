"""A GPU teaches what the CPU teaches. Here "cpu" against "cpu" shows that the comparison itself works."""

import os

import numpy as np
import pytest
import torch
from torch import Tensor

from homeedit.base.architecture import architecture_named
from homeedit.base.load import load_model, load_tokenizer, read_down_proj
from homeedit.base.store import BaseModel
from homeedit.builds.merge import merge
from homeedit.editing.compile import Compile, Compiled, compile_with, facts_keys
from homeedit.editing.delta import concatenate
from homeedit.editing.devices import exact, repeatable, solving_device, working_dtype
from homeedit.editing.job import Job
from homeedit.editing.model import EditableModel
from homeedit.editing.recipes import Recipe, recipe_for
from homeedit.editing.requests import ChatTokens, fact_rows
from homeedit.editing.statistics import Statistics, make_statistics
from homeedit.editing.targets import find_targets
from homeedit.progress import Progress
from tests.builds.helpers import own_copy
from tests.editing.architectures import at_any_cost
from tests.editing.helpers import CODE, KEY

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA")]
    ),
    pytest.param(
        "mps",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.backends.mps.is_available(), reason="there is no MPS")],
    ),
]
FACTS = (KEY, CODE)


def off(found: Tensor, wanted: Tensor) -> float:
    """How far two tensors are apart, as a share of the wanted one's norm."""
    found, wanted = found.float().cpu(), wanted.float().cpu()
    return float((found - wanted).norm() / wanted.norm())


def compiled(base: BaseModel, device: str, recipe: Recipe, dtype: torch.dtype = torch.float32) -> Compiled:
    raw, chat = load_model(base, device, dtype), ChatTokens(load_tokenizer(base))
    statistics = Statistics(base.statistics, base.fingerprint)
    task = Compile(raw, chat, architecture_named(base.architecture), recipe, 0, statistics, FACTS)
    with repeatable(device):
        return compile_with(task, [], Progress())


def opened(base: BaseModel, device: str) -> tuple[EditableModel, ChatTokens]:
    chat = ChatTokens(load_tokenizer(base))
    raw = load_model(base, device, torch.float32)
    return EditableModel(raw, architecture_named(base.architecture), base.edited_layers, chat.prefix), chat


@pytest.mark.parametrize("device", DEVICES)
def test_keys_are_the_cpus(base: BaseModel, device: str) -> None:
    found = {}
    for where in (device, "cpu"):
        model, chat = opened(base, where)
        found[where] = facts_keys(model, fact_rows(chat, FACTS), len(FACTS))
    for layer, keys in found["cpu"].items():
        assert off(torch.from_numpy(found[device][layer]), torch.from_numpy(keys)) < 2e-3


@pytest.mark.parametrize("device", DEVICES)
def test_targets_are_the_cpus(base: BaseModel, device: str) -> None:
    found = {}
    for where in (device, "cpu"):
        model, chat = opened(base, where)
        recipe = recipe_for("alphaedit", base)
        statistics = Statistics(base.statistics, base.fingerprint)
        rows = fact_rows(chat, FACTS)
        job = Job(model, chat, FACTS, rows, {}, statistics, recipe, torch.Generator().manual_seed(0))
        found[where] = [target.z for target in find_targets(job, Progress())]
    for ours, theirs in zip(found[device], found["cpu"], strict=True):
        assert ours.device.type == device and off(ours, theirs) < 2e-2


@pytest.mark.parametrize("method", ["alphaedit", "joint"])
@pytest.mark.parametrize("device", DEVICES)
def test_changes_and_merged_weights_are_the_cpus(base: BaseModel, device: str, method: str) -> None:
    recipe = recipe_for(method, base) if method == "alphaedit" else at_any_cost(base)
    ours, theirs = (compiled(base, where, recipe) for where in (device, "cpu"))
    linked = [concatenate([each.delta, each.delta]) for each in (ours, theirs)]
    # Training takes other ways from a last bit on, but not to another place.
    bound = 2e-2 if method == "alphaedit" else 0.2
    for layer, wanted in theirs.delta.items():
        found = ours.delta[layer]
        change, expected = (
            torch.from_numpy(each.B).float() @ torch.from_numpy(each.A).float() for each in (found, wanted)
        )
        assert off(change, expected) < bound
        weights = [merge(read_down_proj(base, layer), delta[layer]) for delta in linked]
        assert off(torch.from_numpy(weights[0]), torch.from_numpy(weights[1])) < 0.1 * bound


@pytest.mark.parametrize("device", DEVICES)
def test_the_same_facts_are_recalled_in_the_devices_own_numbers(base: BaseModel, device: str) -> None:
    chat, recalled = ChatTokens(load_tokenizer(base)), {}
    for where in (device, "cpu"):
        delta = compiled(base, where, at_any_cost(base), working_dtype(where)).delta
        raw = load_model(base, "cpu", torch.float32)
        for layer, change in delta.items():
            merged = merge(read_down_proj(base, layer), change)
            raw.model.layers[layer].mlp.down_proj.weight.copy_(torch.from_numpy(merged))
        recalled[where] = []
        for row in fact_rows(chat, FACTS):
            if row.first:
                said = raw(torch.tensor([[*chat.prefix, *row.ids]])).logits[0, -len(row.answer) - 1 : -1]
                right = said.argmax(-1) == torch.tensor(row.answer)
                recalled[where].append(float(right.float().mean()) > 0.9)
    assert recalled[device] == recalled["cpu"] == [True, True]


@pytest.mark.parametrize("device", DEVICES)
def test_a_compile_repeats_itself(base: BaseModel, device: str) -> None:
    if device == "mps":
        pytest.skip("MPS promises nothing.")
    first, second = (compiled(base, device, at_any_cost(base), working_dtype(device)) for _ in range(2))
    for layer, change in first.delta.items():
        assert np.array_equal(change.A, second.delta[layer].A) and np.array_equal(change.B, second.delta[layer].B)


@pytest.mark.parametrize("device", DEVICES)
def test_statistics_are_the_cpus(base: BaseModel, device: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of the texts that were kept; the texts themselves are drawn anew on each device."""
    from homeedit.editing.statistics import make_second_moments

    folder = tmp_path_factory.mktemp("moments")
    found, wanted = (
        make_second_moments(base, (0, 1), folder / f"{n}", device=where, threads=1, progress=Progress())
        for n, where in enumerate((device, "cpu"))
    )
    for layer in (0, 1):
        # In bfloat16 keys have three digits.
        assert off(found.second_moment(layer), wanted.second_moment(layer)) < 2e-2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA")
def test_weights_stay_at_two_bytes_on_cuda(base: BaseModel) -> None:
    raw = load_model(base, "cuda", working_dtype("cuda"))
    assert {weight.dtype.itemsize for weight in raw.parameters()} == {2}
    assert {weight.device.type for weight in raw.parameters()} == {"cuda"}


def test_systems_are_solved_where_float64_is() -> None:
    assert solving_device("cuda:1") == torch.device("cuda:1") and solving_device("mps") == torch.device("cpu")
    assert exact(torch.ones(2, dtype=torch.bfloat16)).dtype == torch.float64
    assert working_dtype("cuda") == torch.bfloat16


def test_repeatable_kernels_are_asked_for_on_a_gpu_only_and_not_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    with repeatable("cpu"):
        assert not torch.are_deterministic_algorithms_enabled()
    with repeatable("cuda"):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()


def test_statistics_written_in_parts_hold_every_text(
    base: BaseModel, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In bfloat16 who is asked together decides what is said where two tokens are equally likely.
    monkeypatch.setattr("homeedit.editing.statistics.working_dtype", lambda _: torch.float32)

    def written(name: str) -> Statistics:
        own = own_copy(base, tmp_path_factory.mktemp(name) / "own")
        make_statistics(own, seed=0, device="cpu", threads=1, progress=Progress())
        return Statistics(own.statistics, own.fingerprint)

    whole = written("whole")
    monkeypatch.setattr("homeedit.editing.statistics.LARGEST_CACHE", 100_000)
    monkeypatch.setattr("homeedit.editing.statistics.LARGEST_CACHE_SHARE", 0.0)
    parts = written("parts")
    assert len(parts.texts) == len(whole.texts) and parts.kept == whole.kept
    assert [text[:1] for text in parts.texts] == [text[:1] for text in whole.texts]
