"""``--shape NAME``: what teaching a model of a known shape takes, with random weights made on the device.

No file of such a model is needed: time and memory do not depend on the values. The tokenizer is that of the home's base
model. Scaled down, layers, widths and steps shrink together; those numbers show that the measurement runs, and no more.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from homeedit.base.architecture import architecture_named
from homeedit.base.load import load_tokenizer
from homeedit.base.shape import Shape
from homeedit.base.store import BaseModel
from homeedit.builds.merge import merge
from homeedit.editing.compile import Compile, compile_with
from homeedit.editing.delta import Delta, LowRank, concatenate
from homeedit.editing.devices import repeatable, working_dtype
from homeedit.editing.memory import use_threads
from homeedit.editing.presets import preset_layers
from homeedit.editing.recipes import Method, Recipe, recipe_for
from homeedit.editing.requests import ChatTokens
from homeedit.editing.statistics import Statistics, statistics_of
from homeedit.errors import USAGE, HomeEditError
from homeedit.evaluation.speed.machine import machine, peak_memory
from homeedit.evaluation.speed.measurement import Measurement
from homeedit.evaluation.speed.reference import PUBLISHED_CONTEXTS, Reference
from homeedit.evaluation.speed.setup import Setup, StageClock

BATCHES = (1, 10, 100)
LINKED = (10, 100, 1000)
PUBLISHED = 2.2
"""Seconds a fact on an A40 (arXiv 2410.02355); ten times under it is wanted of a GPU."""
REFERENCE = f"reference, {PUBLISHED_CONTEXTS} contexts a fact"


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a transformers config needs to know."""

    architecture: str
    layers: int
    d_model: int
    d_ff: int
    heads: int
    key_value_heads: int
    vocabulary: int
    tied: bool = False

    def scaled(self, share: float, least_vocabulary: int) -> "Sizes":
        """Depth, widths and vocabulary by the same factor; heads keep their width, and share keys as they did."""
        if share == 1:
            return self
        groups = self.heads // self.key_value_heads
        key_value_heads = max(1, round(self.key_value_heads * share))
        return replace(
            self,
            layers=max(2, round(self.layers * share)),
            d_model=key_value_heads * groups * (self.d_model // self.heads),
            d_ff=max(64, round(self.d_ff * share / 64) * 64),
            heads=key_value_heads * groups,
            key_value_heads=key_value_heads,
            vocabulary=max(least_vocabulary, round(self.vocabulary * share)),
        )

    def edited(self, whole: "Sizes") -> tuple[int, ...]:
        """The layers that the whole model's preset names, as shares of this depth."""
        share = self.layers / whole.layers
        named = preset_layers(Shape(whole.architecture, whole.layers, whole.d_model, whole.d_ff))
        first, count = round(named[0] * share), max(1, round(len(named) * share))
        return tuple(range(min(first, self.layers - count), min(first, self.layers - count) + count))


SHAPES = {
    "llama-3-8b": Sizes("llama", 32, 4096, 14336, 32, 8, 128256),
    "qwen2.5-7b": Sizes("qwen2", 28, 3584, 18944, 28, 4, 152064),
    "smollm2-135m": Sizes("llama", 30, 576, 1536, 9, 3, 49152, tied=True),
}


def random_model(sizes: Sizes, device: str, seed: int) -> Any:
    """A transformers model with random weights in the dtype that compiles run in, made where it will be."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        sizes.architecture,
        hidden_size=sizes.d_model,
        intermediate_size=sizes.d_ff,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.key_value_heads,
        vocab_size=sizes.vocabulary,
        tie_word_embeddings=sizes.tied,
    )
    with torch.random.fork_rng(), torch.device(device):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=working_dtype(device))
    return model.eval().requires_grad_(False)


def measure_shape(setup: Setup, name: str, scale: float, batches: Sequence[int] = BATCHES) -> list[Measurement]:
    """Measure a shape's statistics, compiles, link and memory, and the published loop on the same weights.

    Raises HomeEditError for a shape that is not known or a scale that is not a share (exit code 2).
    """
    if name not in SHAPES:
        raise HomeEditError(f"There is no shape {name!r}.", f"Choose of {', '.join(SHAPES)}.", USAGE)
    if not 0 < scale <= 1:
        raise HomeEditError(f"A scale of {scale:g} is not possible.", "Give 1, or less on a small machine.", USAGE)
    use_threads(setup.threads)
    found = [machine(setup.threads)]
    with repeatable(setup.device):
        for measurement in _measure(setup, name, scale, batches):
            setup.progress.say(f"{measurement.name}: {measurement.shown} {measurement.unit}")
            found.append(measurement)
    return found


def _measure(setup: Setup, name: str, scale: float, batches: Sequence[int]) -> Iterator[Measurement]:
    tokenizer = load_tokenizer(setup.base)
    sizes = SHAPES[name].scaled(scale, len(tokenizer))
    setup.progress.stage("making the weights", None)
    raw, chat = random_model(sizes, setup.device, setup.seed), ChatTokens(tokenizer)
    base = _base_of(setup, name, sizes, raw)
    yield _described(setup, raw, base, scale)
    yield _timed(setup, "statistics", lambda: statistics_of(base, raw, chat, seed=setup.seed, progress=setup.progress))
    seconds: dict[str, float] = {}
    methods: tuple[Method, ...] = ("joint", "alphaedit")
    for method in methods:
        for count in batches:
            measurement = _compile(setup, base, raw, chat, _shortened(recipe_for(method, base), scale), count)
            wanted = method == "alphaedit" and count == max(batches) and scale == 1 and setup.device == "cuda"
            yield replace(measurement, wanted=f"<= {PUBLISHED / 10}") if wanted else measurement
            seconds[method] = measurement.value
    for count in LINKED:
        yield _link(setup, base, raw, count)
    yield Measurement("memory, peak of ours", _peak(setup) / 1e9, "GB", note=_where(setup))
    yield from _reference(setup, base, raw, chat, scale, seconds["alphaedit"])


def _base_of(setup: Setup, name: str, sizes: Sizes, raw: Any) -> BaseModel:
    """A base model that is in no folder but for its statistics."""
    folder = setup.folder / "shape"
    folder.mkdir()
    return BaseModel(
        name=name,
        folder=folder,
        architecture=sizes.architecture,
        parameters=sum(weight.numel() for weight in raw.parameters()),
        fingerprint=f"random {name} {setup.seed}",
        layers=sizes.layers,
        d_model=sizes.d_model,
        d_ff=sizes.d_ff,
        edited_layers=sizes.edited(SHAPES[name]),
        source="random weights",
    )


def _described(setup: Setup, raw: Any, base: BaseModel, scale: float) -> Measurement:
    note = (
        f"{base.layers} layers, d_model {base.d_model}, d_ff {base.d_ff}, vocabulary {raw.config.vocab_size}, random "
        f"{str(raw.dtype).removeprefix('torch.')} weights, edited layers {base.edited_layers[0]}-"
        f"{base.edited_layers[-1]}, on {_where(setup)}"
    )
    if scale < 1:
        note += f"; SCALED to {scale:g} in depth, widths and steps: no figure of the whole model follows from these"
    return Measurement(f"shape {base.name}", base.parameters / 1e6, "million parameters", note=note)


def _where(setup: Setup) -> str:
    if setup.device == "cuda":
        return torch.cuda.get_device_name()
    return f"{setup.device}, not a GPU" if setup.device == "cpu" else setup.device


def _shortened(recipe: Recipe, scale: float) -> Recipe:
    """A recipe with a share of its steps."""
    steps = max(2, round(recipe.steps * scale))
    rows = max(1, round(recipe.rows_per_step / scale)) if scale < 1 else recipe.rows_per_step
    # More rows a step than there are: else every row would have its turn, however few steps were asked for.
    return replace(
        recipe,
        steps=steps,
        steps_per_root_fact=recipe.steps_per_root_fact * scale,
        rows_per_step=rows if recipe.method == "joint" else recipe.rows_per_step,
        most_repeats=0 if scale < 1 else recipe.most_repeats,
    )


def _compile(setup: Setup, base: BaseModel, raw: Any, chat: ChatTokens, recipe: Recipe, count: int) -> Measurement:
    clock = StageClock(setup.progress)
    statistics = Statistics(base.statistics, base.fingerprint)
    facts = setup.facts(count)
    task = Compile(raw, chat, architecture_named(base.architecture), recipe, setup.seed, statistics, facts)
    start = time.perf_counter()
    compile_with(task, [], clock)
    _wait(setup)
    seconds = time.perf_counter() - start
    stages = ", ".join(f"{stage} {spent:.1f} s" for stage, spent in _gathered(clock.stages()).items())
    return Measurement(
        f"compile, {recipe.method}, {count} at once",
        seconds / count,
        "s/fact",
        note=f"{seconds:.1f} s: {stages}; {recipe.steps_for(min(count, recipe.facts_per_round), 0)} steps",
    )


def _gathered(stages: dict[str, float]) -> dict[str, float]:
    """Stages of all rounds together: "learning (1 of 2)" is learning."""
    found: dict[str, float] = {}
    for stage, seconds in stages.items():
        name = stage.partition(" (")[0]
        found[name] = found.get(name, 0.0) + seconds
    return found


def _link(setup: Setup, base: BaseModel, raw: Any, count: int) -> Measurement:
    """Sum the deltas of patches of one fact each and merge them into every edited weight, as a build does."""
    random = np.random.default_rng(setup.seed)
    rank = recipe_for("joint", base).rank_per_fact

    def drawn(rows: int, columns: int) -> Any:
        return (random.standard_normal((rows, columns), dtype=np.float32) * 1e-3).astype(np.float16)

    deltas: list[Delta] = [
        {layer: LowRank(drawn(rank, base.d_ff), drawn(base.d_model, rank)) for layer in base.edited_layers}
        for _ in range(count)
    ]
    path = architecture_named(base.architecture).layers_path
    weights = {
        layer: raw.get_submodule(path)[layer].mlp.down_proj.weight.half().cpu().numpy() for layer in base.edited_layers
    }
    setup.progress.stage(f"link of {count} facts", None)
    start = time.perf_counter()
    for layer, change in concatenate(deltas).items():
        merge(weights[layer], change)
    note = f"patches of one fact, rank {rank}; summed and merged into {len(weights)} weights, on the CPU"
    return Measurement(f"link, {count} facts", time.perf_counter() - start, "s", note=note)


def _reference(
    setup: Setup, base: BaseModel, raw: Any, chat: ChatTokens, scale: float, ours: float
) -> Iterator[Measurement]:
    """The published loop on the same weights, in float32 as published, with P made before."""
    setup.progress.stage("reference: P of every layer", None)
    _reset_peak(setup)
    recipe = _shortened(recipe_for("alphaedit", base), scale)
    reference = Reference(base, recipe, setup.device, raw.float(), chat)
    facts = setup.facts(setup.reference_facts)
    setup.progress.stage(REFERENCE, len(facts))
    took = []
    for fact in facts:
        took.append(reference.edit(fact, setup.progress, PUBLISHED_CONTEXTS))
        setup.progress.advance()
    seconds = sum(each.total for each in took) / len(took)
    note = f"{len(took)} facts, {recipe.steps} steps, float32; P is made before and not counted"
    yield Measurement(REFERENCE, seconds, "s/fact", note=note)
    yield Measurement("memory, peak of the reference", _peak(setup) / 1e9, "GB", note=_where(setup))
    yield Measurement(f"{REFERENCE} / closed form", seconds / ours, "x", note="ours at the largest batch")
    del reference
    gc.collect()


def _timed(setup: Setup, name: str, work: Callable[[], None]) -> Measurement:
    start = time.perf_counter()
    work()
    _wait(setup)
    file: Path = setup.folder / "shape" / "statistics.safetensors"
    return Measurement(name, time.perf_counter() - start, "s", note=f"once a model; {file.stat().st_size / 1e6:.0f} MB")


def _wait(setup: Setup) -> None:
    """Until the device is done: work on a GPU is only begun when a call returns."""
    if setup.device == "cuda":
        torch.cuda.synchronize()
    elif setup.device == "mps":
        torch.mps.synchronize()


def _reset_peak(setup: Setup) -> None:
    if setup.device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak(setup: Setup) -> int:
    """Bytes at the peak: of the GPU, or of this process since its start."""
    return int(torch.cuda.max_memory_allocated()) if setup.device == "cuda" else peak_memory()
