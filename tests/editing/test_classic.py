"""ROME, MEMIT, AlphaEdit and MEMIT-CSK against their papers' formulas, written plainly in float64, whole model."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from homeedit.base.architecture import architecture_named
from homeedit.editing.batches import ANSWER_SCALE
from homeedit.editing.job import Job
from homeedit.editing.methods import METHODS
from homeedit.editing.model import EditableModel
from homeedit.editing.recipes import Recipe
from homeedit.editing.requests import Row
from homeedit.editing.targets import DECAY, Target, asked_of, find_targets, observe, search_targets
from homeedit.errors import Cancelled, HomeEditError
from homeedit.progress import Progress
from tests.editing.helpers import CODE, KEY

D_FF = 48
RECIPE = Recipe("memit", (1, 2), steps=6, rate=0.2, ridge=3.0, threshold=0.5, essence_weight=0.5)
FACTS = ([7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 17])
"""Tokens of two statements; the last two are the target, the place read is the third."""


class Moments:
    """Statistics with second moments of our own."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(5)
        spread = torch.linspace(0.2, 2, D_FF, dtype=torch.float64)
        self.texts = [torch.randn(300, D_FF, generator=generator, dtype=torch.float64) * spread for _ in range(4)]

    def second_moment(self, layer: int) -> Tensor:
        return self.texts[layer].T @ self.texts[layer] / 300


def rows_of(ids: Sequence[int], fact: int, place: int = 2) -> list[Row]:
    """A statement after two texts, alone, and its essence."""
    found = []
    for before in ([30, 31], [40, 41, 42], []):
        start = len(before) + len(ids) - 2
        weights = (ANSWER_SCALE / 2,) * 2
        found.append(Row((*before, *ids), start, weights, "fact", fact, False, len(before) + place))
    return [*found, Row((*ids[: place + 1], 50, 51, 52), place + 3, (1.0,), "essence", fact, False, place)]


def job_of(model: LlamaForCausalLM, recipe: Recipe, statements: Sequence[Sequence[int]] = FACTS) -> Job:
    """A job on a copy of the model, in float64."""
    editable = EditableModel(copy.deepcopy(model).double(), architecture_named("llama"), recipe.layers, ())
    rows = [row for number, ids in enumerate(statements) for row in rows_of(ids, number)]
    facts = (KEY, CODE)[: len(statements)]
    chat: Any = None
    statistics: Any = Moments()
    return Job(editable, chat, facts, rows, {}, statistics, recipe, torch.Generator())


class Plain:
    """The whole model in float64, its weights changed in place."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self.model = copy.deepcopy(model).double()
        self.model.set_attn_implementation("eager")

    def weight(self, layer: int) -> Tensor:
        return self.model.model.layers[layer].mlp.down_proj.weight

    def seen(self, ids: Sequence[int], layer: int, last: int, place: int) -> tuple[Tensor, Tensor]:
        """The key at a layer and the state after the last one."""
        keys: list[Tensor] = []
        hook = self.model.model.layers[layer].mlp.down_proj.register_forward_pre_hook(
            lambda _, inputs: keys.append(inputs[0][0, place])
        )
        found = self.model(torch.tensor([list(ids)]), output_hidden_states=True)
        hook.remove()
        return keys[0], found.hidden_states[last + 1][0, place]

    def means(self, rows: Sequence[Row], layer: int, last: int) -> tuple[Tensor, Tensor]:
        """Their means over a fact's contexts."""
        pairs = [self.seen(row.ids, layer, last, row.subject_end) for row in rows if row.kind == "fact"]
        return torch.stack([key for key, _ in pairs]).mean(0), torch.stack([state for _, state in pairs]).mean(0)


Formula = Callable[[Tensor, Tensor, Tensor], Tensor]


def memit_formula(K1: Tensor, R: Tensor, C: Tensor) -> Tensor:
    """MEMIT eq. 14; keys and residuals are columns."""
    return R @ K1.T @ torch.linalg.inv(RECIPE.ridge * C + K1 @ K1.T)


def alphaedit_formula(K1: Tensor, R: Tensor, C: Tensor) -> Tensor:
    """AlphaEdit eq. 14 without earlier keys."""
    values, vectors = torch.linalg.eigh(C)
    null = vectors[:, values <= RECIPE.threshold * values.mean()]
    P = null @ null.T
    return R @ K1.T @ P @ torch.linalg.inv(K1 @ K1.T @ P + RECIPE.ridge * torch.eye(D_FF, dtype=C.dtype))


def spread_plainly(model: LlamaForCausalLM, targets: Sequence[Tensor], formula: Formula) -> dict[int, Tensor]:
    """MEMIT's algorithm 1 with dense matrices: every layer's change."""
    plain, last, found = Plain(model), max(RECIPE.layers), {}
    for number, layer in enumerate(RECIPE.layers):
        means = [plain.means(rows_of(ids, 0), layer, last) for ids in FACTS]
        K1 = torch.stack([key for key, _ in means], dim=1)
        R = torch.stack([z - state for z, (_, state) in zip(targets, means, strict=True)], dim=1)
        R = R / (len(RECIPE.layers) - number)
        found[layer] = formula(K1, R, Moments().second_moment(layer))
        with torch.no_grad():
            plain.weight(layer).add_(found[layer])
    return found


def difference(found: Tensor, wanted: Tensor) -> float:
    return float((found.double() - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(
    ("method", "formula"),
    [
        ("memit", memit_formula),
        ("memit-csk", memit_formula),
        ("alphaedit", alphaedit_formula),
        ("alphaedit-csk", alphaedit_formula),
    ],
)
def test_every_layers_change_is_the_papers(raw: LlamaForCausalLM, method: str, formula: Formula) -> None:
    targets = [target.z for target in find_targets(job_of(raw, RECIPE), Progress())]
    factors, report = METHODS[method](job_of(raw, RECIPE), Progress())
    wanted = spread_plainly(raw, targets, formula)
    assert set(factors) == {1, 2} and report["facts"] == 2
    for layer, (A, B) in factors.items():
        assert A.shape == (2, D_FF) and difference(B @ A, wanted[layer]) < 1e-6


def test_romes_change_is_the_papers_fact_after_fact(raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(RECIPE, method="rome", layers=(1,))
    found: list[Target] = []

    def noted(job: Job, asked: Any, stepped: Callable[[], None]) -> list[Target]:
        found.extend(search_targets(job, asked, stepped))
        return found[-1:]

    monkeypatch.setattr("homeedit.editing.methods.rome.search_targets", noted)
    (A, B) = METHODS["rome"](job_of(raw, recipe), Progress())[0][1]
    plain, C = Plain(raw), Moments().second_moment(1)
    before = plain.weight(1).clone()
    for ids, target in zip(FACTS, found, strict=True):
        key, state = plain.means(rows_of(ids, 0), 1, 1)
        weight = plain.weight(1)
        value = weight @ key + (target.z - state)  # v*: what the MLP must say for the state to be z
        left = torch.linalg.inv(C) @ key
        with torch.no_grad():
            weight.add_(torch.outer((value - weight @ key) / (left @ key), left))
        torch.testing.assert_close(weight @ key, value, rtol=1e-9, atol=1e-9)
    assert difference(B @ A, plain.weight(1) - before) < 1e-6


def test_rome_says_v_of_k_exactly(raw: LlamaForCausalLM) -> None:
    recipe = replace(RECIPE, method="rome", layers=(1,))
    job = job_of(raw, recipe, FACTS[:1])
    target = find_targets(job, Progress())[0]
    (key,), (reached,) = observe(job.model, [target.contexts], 1, 1)
    (A, B) = METHODS["rome"](job_of(raw, recipe, FACTS[:1]), Progress())[0][1]
    torch.testing.assert_close((B @ A).double() @ key, target.z - reached, rtol=1e-5, atol=1e-6)


def test_memit_without_ridge_says_all_values_of_all_keys(raw: LlamaForCausalLM) -> None:
    recipe = replace(RECIPE, layers=(1,), ridge=1e-9)
    job = job_of(raw, recipe)
    wanted = []
    for target in find_targets(job, Progress()):
        (key,), (reached,) = observe(job.model, [target.contexts], 1, 1)
        wanted.append((key, target.z - reached))
    (A, B) = METHODS["memit"](job_of(raw, recipe), Progress())[0][1]
    for key, residual in wanted:
        torch.testing.assert_close((B @ A).double() @ key, residual, rtol=1e-4, atol=1e-5)


def test_rome_refuses_several_layers(raw: LlamaForCausalLM) -> None:
    with pytest.raises(HomeEditError, match="one layer"):
        METHODS["rome"](job_of(raw, RECIPE), Progress())


def search_plainly(model: LlamaForCausalLM, recipe: Recipe, ids: Sequence[int]) -> tuple[Tensor, float]:
    """z by ROME eq. 4 / MEMIT eq. 16 on the whole model, and the loss of the last step."""
    plain, last = Plain(model), max(recipe.layers)
    *contexts, essence = rows_of(ids, 0)
    start = plain.means(contexts, last, last)[1].detach()
    change = torch.zeros_like(start, requires_grad=True)

    def says(row: Row) -> Tensor:
        def add(_: Any, __: Any, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            moved = hidden.clone()
            moved[0, row.subject_end] += change
            return (moved, *output[1:]) if isinstance(output, tuple) else moved

        hook = plain.model.model.layers[last].register_forward_hook(add)
        logits = plain.model(torch.tensor([row.ids])).logits[0]
        hook.remove()
        return logits.log_softmax(-1)

    before = says(essence)[essence.start - 1].detach()
    optimizer = torch.optim.Adam([change], lr=recipe.rate)
    for _ in range(recipe.steps):
        optimizer.zero_grad()
        likely = [
            says(row)[torch.arange(row.start - 1, len(row.ids) - 1), torch.tensor(row.answer)].mean()
            for row in contexts
        ]
        after = says(essence)[essence.start - 1]
        divergence = (after.exp() * (after - before)).sum()
        loss = -torch.stack(likely).mean() + recipe.essence_weight * divergence
        loss = loss + DECAY * change.square().sum() / start.square().sum()
        loss.backward()
        optimizer.step()
    return start + change.detach(), loss.item()


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_the_search_is_the_papers_for_facts_that_are_run_together(raw: LlamaForCausalLM, weight: float) -> None:
    recipe = replace(RECIPE, essence_weight=weight)
    targets = find_targets(job_of(raw, recipe), Progress())
    for found, ids in zip(targets, FACTS, strict=True):
        wanted, loss = search_plainly(raw, recipe, ids)
        assert difference(found.z, wanted) < 1e-4 and found.loss == pytest.approx(loss, rel=1e-4)


def test_a_fact_that_is_learned_leaves_the_others_search_as_it_is(
    raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(RECIPE, steps=30, rate=0.5)
    losses = [search_plainly(raw, replace(recipe, steps=10), ids)[1] for ids in FACTS]
    monkeypatch.setattr("homeedit.editing.targets.LEARNED", sum(losses) / 2)
    together = find_targets(job_of(raw, recipe), Progress())
    easier, harder = sorted(range(2), key=lambda number: losses[number])
    assert together[easier].loss < sum(losses) / 2
    for number in (easier, harder):
        job = job_of(raw, recipe)
        (alone,) = search_targets(job, asked_of(job, Progress())[number : number + 1], Progress().check)
        assert difference(together[number].z, alone.z) < 1e-6 and together[number].loss == pytest.approx(alone.loss)


def test_on_two_cores_every_step_is_told_and_the_targets_are_the_same(
    raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Counted(Progress):
        done, total = 0, 0

        def on_stage(self, name: str, total: int | None) -> None:
            self.done, self.total = 0, total or 0

        def on_advance(self, count: int, note: str) -> None:
            self.done += count
            if self.done == self.total - 1 and self.stop:
                self.cancel()

        stop = False

    monkeypatch.setattr("homeedit.editing.targets.FACTS_AT_ONCE", 1)
    alone = find_targets(job_of(raw, RECIPE), Progress())
    torch.set_num_threads(2)
    try:
        progress = Counted()
        together = find_targets(job_of(raw, RECIPE), progress)
        assert (progress.done, progress.total) == (2 * RECIPE.steps, 2 * RECIPE.steps)
        progress.stop = True
        with pytest.raises(Cancelled):
            find_targets(job_of(raw, RECIPE), progress)
    finally:
        torch.set_num_threads(1)
    for one, other in zip(alone, together, strict=True):
        assert difference(one.z, other.z) < 1e-6


def test_a_search_stops_when_it_is_asked_to(raw: LlamaForCausalLM) -> None:
    job, progress = job_of(raw, RECIPE), Progress()
    asked = asked_of(job, progress)
    progress.cancel()
    with pytest.raises(Cancelled):
        search_targets(job, asked, progress.check)


def test_what_follows_the_essence_is_told_apart(raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeedit.editing.batches.MOST_VOCABULARY", 12)
    job = job_of(raw, RECIPE)
    whole = job.model.head
    asked = asked_of(job, Progress())
    place = job.model.head.place
    assert place is not None and int((place >= 0).sum()) == 12
    for each in asked:
        (item,) = each.essence
        with torch.no_grad():
            last = job.model.upper(item.hidden[None], item.row.prefixed)[0, item.row.start - 1]
        assert place[whole.logits(last).argmax()] >= 0


def test_the_essence_holds_back_the_change(raw: LlamaForCausalLM) -> None:
    free, held = (
        find_targets(job_of(raw, replace(RECIPE, essence_weight=weight), FACTS[:1]), Progress())[0]
        for weight in (0.0, 2.0)
    )
    assert difference(held.z, free.z) > 1e-2


@pytest.mark.parametrize("method", ["rome", "memit", "alphaedit"])
def test_facts_about_one_subject_do_not_blow_up(raw: LlamaForCausalLM, method: str) -> None:
    same = ([7, 8, 9, 10, 11], [7, 8, 9, 20, 21])
    recipe = replace(RECIPE, method=method, layers=(1,) if method == "rome" else RECIPE.layers)  # type: ignore[arg-type]
    together = METHODS[method](job_of(raw, recipe, same), Progress())[0]
    alone = METHODS[method](job_of(raw, recipe, same[:1]), Progress())[0]
    for layer, (A, B) in together.items():
        assert bool((B @ A).isfinite().all())
        assert (B @ A).norm() < 5 * (alone[layer][1] @ alone[layer][0]).norm()


def test_contexts_are_the_first_rows_and_the_bare_one_and_no_row_counts_twice(raw: LlamaForCausalLM) -> None:
    job = job_of(raw, RECIPE, FACTS[:1])
    few = asked_of(job, Progress())[0]
    assert [len(item.row.ids) for item in few.contexts] == [7, 8, 5] and len(few.essence) == 1
    many = replace(job, rows=[*rows_of(FACTS[0], 0)[:2] * 4, rows_of(FACTS[0], 0)[2]])
    assert [len(item.row.ids) for item in asked_of(many, Progress())[0].contexts] == [7, 8, 7, 8, 7, 5]
