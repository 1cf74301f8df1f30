"""The joint recipe on a tiny random model: which rows a step takes, and that its gradient is the loss's."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM

from homeedit.editing.batches import ANSWER_SCALE, Prepared, RowKeys, prepare
from homeedit.editing.delta import LowRank
from homeedit.editing.methods import joint
from homeedit.editing.methods.descent import Change, cut_to_rank
from homeedit.editing.methods.joint import LEARNED, RECALLED, Task, choose, gradients, refresh, train
from homeedit.editing.model import Batch
from homeedit.editing.preserved import Whitening, whiten
from homeedit.editing.recipes import Recipe
from homeedit.editing.workers import Workers
from homeedit.progress import Progress
from tests.editing.helpers import PREFIX, editable, row

RECIPE = Recipe(
    "joint",
    (1, 2),
    steps=8,
    steps_per_root_fact=0,
    rate=0.05,
    free_share=0.4,
    hold_share=0.3,
    warmup=2,
    rows_per_step=12,
    kept_per_step=4,
    contrasts_per_step=7,
    texts_per_step=2,
    keep_weight=10.0,
    contrast_weight=8.0,
    text_weight=4.0,
    change_penalty=2.0,
    floor=0.03,
    rank_per_fact=1,
    least_rank=3,
    most_repeats=0,
)
PER_STEP = {"fact": 12, "keep": 4, "text": 2, "contrast": 7}
WEIGHTS = {"fact": 1.0, "keep": 10.0, "text": 4.0, "contrast": 8.0}


def items(kind: str, losses: Sequence[float]) -> list[Prepared]:
    return [Prepared(row([1, 2, 3], 1, kind=kind), torch.zeros(3, 2), loss=loss) for loss in losses]


def task_of(seed: int = 0, recipe: Recipe = RECIPE, **kinds: Sequence[float]) -> Task:
    """A task with these losses of its rows and nothing else."""
    facts, kept, texts, contrasts = (items(kind, kinds.get(kind, ())) for kind in PER_STEP)
    generator = torch.Generator().manual_seed(seed)
    return Task(None, facts, kept, texts, contrasts, {}, {}, recipe, generator)  # type: ignore[arg-type]


def spread(count: int, least: float = 1.0) -> list[float]:
    """Losses in no order, all different."""
    return [least + (7 * number) % count for number in range(count)]


ALL = {"fact": spread(31), "keep": spread(9), "text": spread(5), "contrast": spread(20)}


def of_kind(chosen: Sequence[tuple[Prepared, float]], kind: str) -> list[Prepared]:
    return [item for item, _ in chosen if item.row.kind == kind]


def weight_of(chosen: Sequence[tuple[Prepared, float]], kind: str) -> float:
    return sum(weight for item, weight in chosen if item.row.kind == kind)


def learned_first() -> list[Prepared]:
    """A new fact's first question, learned."""
    return [Prepared(row([1, 2, 3], 1, first=True), torch.zeros(3, 2), loss=0.0)]


def test_a_step_takes_its_quota_of_every_kind_and_weighs_it_as_the_recipe_says() -> None:
    chosen = choose(task_of(**ALL))
    assert Counter(item.row.kind for item, _ in chosen) == PER_STEP
    assert len({id(item) for item, _ in chosen}) == len(chosen), "no row twice"
    for kind, weight in WEIGHTS.items():
        assert weight_of(chosen, kind) == pytest.approx(weight)
        assert len({weight for item, weight in chosen if item.row.kind == kind}) == 1


@pytest.mark.parametrize(("kind", "worst"), [("fact", 10), ("keep", 2), ("text", 1), ("contrast", 3)])
def test_the_worst_rows_are_always_taken_and_the_others_by_lot(kind: str, worst: int) -> None:
    seen = set()
    for seed in range(40):
        losses = [item.loss for item in of_kind(choose(task_of(seed, **ALL)), kind)]
        assert losses[:worst] == sorted(ALL[kind], reverse=True)[:worst]
        seen |= set(losses)
    assert len(seen) == len(ALL[kind]), "every row has its chance"


def test_the_lot_follows_the_seed() -> None:
    def drawn(seed: int) -> list[tuple[str, float]]:
        return [(item.row.kind, item.loss) for item, _ in choose(task_of(seed, **ALL))]

    assert drawn(1) == drawn(1) != drawn(2)


def test_what_an_older_patch_did_not_learn_is_not_learned_now() -> None:
    task = task_of(fact=[0.5] * 10, replay=[])
    hard = items("replay", [3.0] * 20)
    task.facts += hard
    assert len(of_kind(choose(task), "replay")) == 8, "of unknown rows the worst come first"
    for item in hard:
        item.before = 3.0
    chosen = choose(task)
    assert len(of_kind(chosen, "fact")) == 10 and len(of_kind(chosen, "replay")) == 1, "those that are drawn"
    hard[0].loss = 3.0 + 21 * joint.LEARNED_MEAN
    assert not joint._is_learned([*hard, *learned_first()]) and joint._is_learned([*hard[1:], *learned_first()])


def test_earlier_facts_that_are_like_the_new_ones_are_watched_before_they_are_disturbed() -> None:
    task = task_of(fact=spread(20))
    replays = items("replay", [0.0] * 30)
    for item in replays[-9:]:
        item.watched = True
    task.facts += replays
    chosen = of_kind(choose(task), "replay")
    assert len(chosen) == 8 and sum(item in replays[-9:] for item in chosen) >= 7
    assert len(of_kind(choose(task), "fact")) == 12, "they take no place of the new ones"
    for item in replays[:20]:
        item.loss = 1.0
    chosen = of_kind(choose(task), "replay")
    assert chosen[:7] == replays[:7], "what is disturbed comes first"
    assert any(item in replays[-9:] for item in chosen[7:]), "and leaves some room"


def asked_first(kind: str, loss: float = 0.0) -> Prepared:
    return Prepared(row([1, 2, 3], 1, kind=kind, first=True), torch.zeros(3, 2), loss=loss)


def test_the_earlier_facts_asked_most_alike_are_found_and_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """States as given: what all share, much larger than what tells them apart, and a direction of each kind."""
    directions = {"door": [0.0, 1.0, 0.0], "aunt": [0.0, 0.0, 1.0], "none": [0.0, -1.0, -1.0]}
    kinds = ["door", "aunt", *["none"] * 4, "aunt", "door", "aunt", "door", "door", "aunt"]
    own, earlier = [asked_first("fact") for _ in kinds[:2]], [asked_first("replay") for _ in kinds[2:]]
    task = task_of()
    pristine = ExitStack()
    task.model = SimpleNamespace(pristine=lambda: pristine)  # type: ignore[assignment]
    left: list[str] = []
    pristine.callback(left.append, "the base")
    task.facts += [*own, *earlier, *items("replay", [0.0]), *items("fact", [0.0])]
    states = torch.tensor([[100.0, 0.0, 0.0]]) + torch.tensor([directions[kind] for kind in kinds])
    monkeypatch.setattr(joint, "_beginnings", lambda _, rows: states[: len(rows)])
    monkeypatch.setattr(joint, "ALIKE", 2)
    measured: list[list[Prepared]] = []
    monkeypatch.setattr(joint, "refresh", lambda _, __, rows=None: measured.append(list(rows or [])))
    joint._look_at_replays(task, {})
    assert left == ["the base"], "states are those of the base"
    alike = [item for item in earlier if item.watched]
    assert len(alike) == 4 and all(item in earlier[4:] for item in alike)
    joint._look(task, {}, joint.LOOK_FIRST)
    assert {id(item) for item in measured[-1]} == {id(item) for item in [*own, *earlier]}, "once, and early, all"
    joint._look(task, {}, 2 * joint.LOOK_FIRST)
    assert {id(item) for item in measured[-1]} == {id(item) for item in [*own, *alike]}


def test_likeness_is_of_the_bases_states_after_the_last_edited_layer(raw: LlamaForCausalLM) -> None:
    task = real_task(raw)
    ids = torch.tensor([[*PREFIX, *task.facts[0].row.ids]])
    task.model.release()
    states = raw(ids, output_hidden_states=True).hidden_states
    task = real_task(raw)
    task.model.stand_on({1: LowRank(torch.randn(3, 48).numpy(), torch.randn(32, 3).numpy())})
    with task.model.pristine():
        found = joint._beginnings(task, task.facts[:1])
    assert max(task.model.edited) == 2 and len(states) > 4
    torch.testing.assert_close(found[0], states[3][0, len(PREFIX) + task.facts[0].row.start - 1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(joint._beginnings(task, task.facts[:1])[0], found[0], rtol=1e-3)


def test_a_little_disturbed_earlier_fact_does_not_keep_training_from_its_end() -> None:
    disturbed = Prepared(row([1, 2, 3], 1, kind="replay", first=True), torch.zeros(3, 2), loss=1.5 * RECALLED)
    others = items("replay", [0.0] * 30)
    assert joint._is_learned([*learned_first(), disturbed, *others])
    disturbed.loss = 2.5 * RECALLED
    assert not joint._is_learned([*learned_first(), disturbed, *others])


def test_of_a_few_facts_the_first_questions_are_in_every_step() -> None:
    task = task_of(fact=spread(40))
    (first,) = learned_first()
    task.facts.append(first)
    task.generator.manual_seed(0)
    assert all(first in of_kind(choose(task), "fact") for _ in range(10))
    task.facts += [item for _ in range(9) for item in learned_first()]
    assert not all(first in of_kind(choose(task), "fact") for _ in range(10)), "of many, as their losses say"


def test_learned_rows_take_no_place_among_the_worst() -> None:
    task = task_of(fact=[*[LEARNED] * 20, 0.5, LEARNED * 1.01, 0.4], keep=spread(9))
    chosen = choose(task)
    facts = of_kind(chosen, "fact")
    assert [item.loss for item in facts[:3]] == [0.5, 0.4, LEARNED * 1.01]
    assert [item.loss for item in facts[3:]] == [LEARNED] * 2, "a sixth of the quota is drawn all the same"
    assert weight_of(chosen, "fact") == pytest.approx(5 / 12), "what is learned makes others no heavier"
    assert len(of_kind(chosen, "keep")) == 4


def test_rows_never_seen_come_first() -> None:
    unseen = float("inf")
    chosen = choose(task_of(fact=[5.0] * 20 + [unseen] * 3, text=[1.0, 2.0, unseen]))
    assert [item.loss for item in of_kind(chosen, "fact")][:3] == [unseen] * 3
    assert of_kind(chosen, "text")[0].loss == unseen


def test_a_few_facts_take_fewer_rows_at_the_same_weight() -> None:
    task = task_of(**ALL)
    task.share = 0.5
    chosen = choose(task)
    assert Counter(item.row.kind for item, _ in chosen) == {"fact": 6, "keep": 2, "text": 1, "contrast": 4}
    assert weight_of(chosen, "fact") == pytest.approx(0.5) and weight_of(chosen, "contrast") == pytest.approx(8)


def test_few_rows_bear_the_whole_weight_and_none_bear_none() -> None:
    chosen = choose(task_of(fact=[1.0], keep=[1.0], contrast=[0.0] * 3))
    assert Counter(item.row.kind for item, _ in chosen) == {"fact": 1, "keep": 1, "contrast": 3}
    assert weight_of(chosen, "keep") == pytest.approx(10) and weight_of(chosen, "contrast") == pytest.approx(8)


def test_kept_rows_that_have_not_moved_take_no_place_among_the_worst() -> None:
    chosen = choose(task_of(fact=[1.0], keep=[0.0] * 20))
    assert len(of_kind(chosen, "keep")) == 2 and weight_of(chosen, "keep") == pytest.approx(10)


ROWS = [
    row([7, 8, 9, 10], 2, first=True),
    row([7, 8, 9, 10, 11, 12, 13], 3),
    row([30, 31, 32, 33, 34], 2, False),
    row([14, 15, 16, 17], 1, kind="replay"),
    row([40, 41, 42, 43, 44], 2, kind="keep"),
    row([45, 46, 47], 1, kind="contrast"),
    row([50, 51, 52, 53, 54, 55, 56], 4, False, kind="text"),
]


def real_task(raw: LlamaForCausalLM, recipe: Recipe = RECIPE) -> Task:
    """A task on the rows, with whitenings that are kept out of the prefix's keys."""
    model = editable(raw)
    prepared, keys = prepare(model, ROWS, Progress())
    whitenings, energies = {}, {}
    for number, layer in enumerate(recipe.layers):
        preserved = keys[layer].kept
        moment = preserved.T @ preserved / len(preserved)
        ridge = 0.1 * moment.diagonal().mean() * torch.eye(len(moment))
        whitenings[layer] = whiten(moment + ridge, model.prefix_keys[layer], keys[layer].facts, 20)
        energies[layer] = 2.0 + number
    of = {kind: [item for item in prepared if item.row.kind == kind] for kind in ("keep", "text", "contrast")}
    facts = [item for item in prepared if not item.row.taught]
    generator = torch.Generator().manual_seed(0)
    return Task(model, facts, of["keep"], of["text"], of["contrast"], whitenings, energies, recipe, generator)


def some_changes(task: Task, size: float = 0.05) -> dict[int, Change]:
    """Random changes: one with all directions, one on a low rank."""
    generator = torch.Generator().manual_seed(5)
    free, low = (
        Change(size * torch.randn(32, len(task.whitenings[layer].right), generator=generator)) for layer in (1, 2)
    )
    return {1: free, 2: cut_to_rank(low, 3)}


def exactly(change: Change) -> Change:
    """The same in float64."""
    return Change(change.left.double(), None if change.right is None else change.right.double())


def everything(task: Task) -> list[tuple[Prepared, float]]:
    """All rows, each with a weight of its own."""
    rows = [*task.facts, *task.kept, *task.texts, *task.contrasts]
    return [(item, 0.3 + 0.2 * number) for number, item in enumerate(rows)]


class Naive:
    """The total loss by the textbook: the whole model's logits, one row at a time, a weight for each layer."""

    def __init__(self, raw: LlamaForCausalLM, task: Task) -> None:
        self.raw, self.task = raw, task
        self.before = {item.row.ids: self._logits(item) for item, _ in everything(task)}

    def _logits(self, item: Prepared) -> Tensor:
        """Log-probabilities [answer, vocabulary] at the positions that predict the answer."""
        past = PREFIX if item.row.prefixed else ()
        found = self.raw(torch.tensor([[*past, *item.row.ids]])).logits[0]
        return found[len(past) + item.row.start - 1 : -1].log_softmax(-1)

    def row_loss(self, item: Prepared) -> Tensor:
        now, before = self._logits(item), self.before[item.row.ids]
        if item.row.taught:
            return functional.kl_div(now, before, reduction="none", log_target=True).sum(-1).mean()
        missing = functional.nll_loss(now, torch.tensor(item.row.answer), reduction="none")
        weights = torch.tensor(item.row.weights)
        return ((missing - self.task.recipe.floor).clamp_min(0) * weights).sum() / ANSWER_SCALE

    def total(self, whitened: dict[int, Tensor], chosen: Sequence[tuple[Prepared, float]]) -> Tensor:
        dtype = self.task.model.dtype
        self.task.model.change(
            {layer: (each @ self.task.whitenings[layer].right).to(dtype) for layer, each in whitened.items()}
        )
        loss = sum(weight * self.row_loss(item) for item, weight in chosen)
        self.task.model.change(None)
        size = sum(each.square().sum() for each in whitened.values())
        assert isinstance(loss, Tensor) and isinstance(size, Tensor)
        # The median of two energies is their mean.
        return loss + self.task.recipe.change_penalty * size / 2.5


@pytest.mark.parametrize("most_tokens", [1024, 12])
@pytest.mark.parametrize("penalty", [0.0, 2.0])
@pytest.mark.parametrize("on_top", [False, True])
def test_the_gradient_is_that_of_the_total_loss(
    raw: LlamaForCausalLM, most_tokens: int, penalty: float, on_top: bool
) -> None:
    task = real_task(raw, replace(RECIPE, change_penalty=penalty))
    task.workers = Workers(most_tokens, 2 * most_tokens)
    naive, changes, chosen = Naive(raw, task), some_changes(task), everything(task)
    if on_top:
        right = task.whitenings[2].right
        A = torch.randn(3, len(right)) @ right  # kept out of the prefix's keys
        task.model.stand_on({2: LowRank(A.numpy(), 0.3 * torch.randn(32, 3).numpy())})
    found = gradients(task, changes, chosen)
    whitened = {layer: change.whitened().requires_grad_() for layer, change in changes.items()}
    expected = torch.autograd.grad(naive.total(whitened, chosen), list(whitened.values()))
    for layer, gradient in zip(whitened, expected, strict=True):
        assert float((found[layer] - gradient).norm()) < 1e-3 * float(gradient.norm())
    task.model.change({layer: whitened[layer].detach() @ task.whitenings[layer].right for layer in whitened})
    for item, _ in chosen:
        assert item.loss == pytest.approx(float(naive.row_loss(item)), rel=1e-3, abs=1e-5), "each row's loss is noted"


def test_gradient_and_losses_are_the_same_bits_whoever_works_on_the_groups(raw: LlamaForCausalLM) -> None:
    task = real_task(raw)
    changes, chosen = some_changes(task), everything(task)
    task.workers = Workers(12, 24)
    alone = gradients(task, changes, chosen)
    losses = [item.loss for item, _ in chosen]
    refresh(task, changes)
    refreshed = [item.loss for item in task.facts]
    for threads in (2, 3):
        with ThreadPoolExecutor(threads) as pool:
            task.workers = Workers(12, 24, pool, threads, threads)
            beside = gradients(task, changes, chosen)
            assert losses == [item.loss for item, _ in chosen]
            refresh(task, changes)
        assert all(torch.equal(beside[layer], alone[layer]) for layer in alone)
        assert refreshed == [item.loss for item in task.facts]


def test_preparing_gives_the_same_bits_whoever_works_on_the_groups(
    raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepared(workers: Workers) -> tuple[list[Prepared], dict[int, RowKeys]]:
        monkeypatch.setattr("homeedit.editing.batches.workers_on", lambda _: nullcontext(workers))
        return prepare(editable(raw), ROWS, Progress())

    alone, keys = prepared(Workers(12, 24))
    with ThreadPoolExecutor(3) as pool:
        beside, keys_beside = prepared(Workers(12, 24, pool, 3, 3))
    assert [item.row for item in beside] == ROWS
    for one, other in zip(alone, beside, strict=True):
        assert torch.equal(one.hidden, other.hidden) and len(one.hidden) == len(one.row.ids) - 1
        assert one.teacher is None or other.teacher is None or torch.equal(one.teacher, other.teacher)
    for layer, of in keys.items():
        assert torch.equal(of.facts, keys_beside[layer].facts) and torch.equal(of.kept, keys_beside[layer].kept)


@pytest.mark.parametrize(("most", "stride"), [(1000, 1), (8, 2)])
def test_keys_are_held_in_the_order_of_the_rows_and_thinned_out(
    raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch, most: int, stride: int
) -> None:
    monkeypatch.setattr("homeedit.editing.batches.MOST_KEYS", most)
    model = editable(raw)
    _, keys = prepare(model, ROWS, Progress())
    wanted: dict[tuple[int, bool], list[Tensor]] = {}
    for index, each in enumerate(ROWS):
        with torch.no_grad(), model.recording() as recorded:
            model.upper(model.lower(Batch(torch.tensor([each.ids]), each.prefixed)), each.prefixed)
        for layer, (found,) in recorded.items():
            # Keys of earlier patches' facts are preserved already.
            if each.kind != "replay":
                wanted.setdefault((layer, each.taught), []).append(found[0, index % stride :: stride])
    for (layer, taught), parts in wanted.items():
        held = keys[layer].of(taught)
        assert len(held) <= most
        torch.testing.assert_close(held, torch.cat(parts), rtol=1e-4, atol=1e-5)


def test_the_gradient_is_a_finite_difference(raw: LlamaForCausalLM) -> None:
    task = real_task(raw.double())
    naive, chosen = Naive(raw, task), everything(task)
    changes = {layer: exactly(change) for layer, change in some_changes(task).items()}
    task.whitenings = {layer: Whitening(w.right.double()) for layer, w in task.whitenings.items()}
    found = gradients(task, changes, chosen)
    whitened = {layer: change.whitened() for layer, change in changes.items()}
    along = {layer: gradient.double() / gradient.norm() for layer, gradient in found.items()}
    small = 1e-4

    def total(step: float) -> float:
        return float(naive.total({layer: each + step * along[layer] for layer, each in whitened.items()}, chosen))

    slope = sum(float((found[layer] * along[layer]).sum()) for layer in found)
    assert (total(small) - total(-small)) / (2 * small) == pytest.approx(slope, rel=1e-4)


def test_refreshed_losses_are_those_under_the_changes(raw: LlamaForCausalLM) -> None:
    task = real_task(raw)
    naive, changes = Naive(raw, task), some_changes(task)
    refresh(task, changes)
    assert all(linear.change is None for linear in task.model.edited.values())
    task.model.change({layer: changes[layer].whitened() @ w.right for layer, w in task.whitenings.items()})
    for item in task.facts:
        assert item.loss == pytest.approx(float(naive.row_loss(item)), rel=1e-3)
    assert all(item.loss == float("inf") for item in task.kept), "only facts are measured"


def test_training_learns_on_the_rank_it_is_given_and_leaves_the_prefix_alone(raw: LlamaForCausalLM) -> None:
    task = real_task(raw, replace(RECIPE, steps=40, rate=0.16, change_penalty=0.1))
    refresh(task, {layer: Change(torch.zeros(32, len(w.right))) for layer, w in task.whitenings.items()})
    before = sum(item.loss for item in task.facts) / len(task.facts)
    changes, report = train(task, Progress(), facts=1)
    assert report["loss"] < before / 2 and report["worst"] >= report["loss"] > 0
    for layer, change in changes.items():
        A, B = change.factors(task.whitenings[layer].right)
        assert A.shape == (3, 48) and B.shape == (32, 3)
        keys = task.model.prefix_keys[layer]
        assert (B @ A @ keys.T).norm() < 1e-3 * (B @ A).norm() * keys.norm()
    more, _ = train(real_task(raw), Progress(), facts=5)
    assert all(change.left.shape == (32, 5) for change in more.values()), "a rank for each fact"


def test_rounds_are_repeated_only_while_a_first_question_is_not_learned(raw: LlamaForCausalLM) -> None:
    class Stages(Progress):
        def __init__(self) -> None:
            super().__init__()
            self.seen = list[str]()

        def on_stage(self, name: str, total: int | None) -> None:
            self.seen.append(name)

    lazy = replace(RECIPE, rate=0.0, repeat_rate=0.0, repeat_steps=1, most_repeats=2)
    progress = Stages()
    train(real_task(raw, lazy), progress, facts=1)
    assert progress.seen == ["learning", *["repeating what is not learned"] * 2]
    task, progress = real_task(raw, lazy), Stages()
    # A first question that weighs nothing is learned, and what else is not learned is no reason.
    task.facts[0].row = replace(task.facts[0].row, weights=(0.0, 0.0))
    train(task, progress, facts=1)
    assert task.facts[0].row.first and max(item.loss for item in task.facts) > RECALLED
    assert progress.seen == ["learning"]


def test_losses_are_looked_at_again_because_other_rows_steps_move_them(
    raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = real_task(raw)
    looks: list[tuple[int, int]] = []
    monkeypatch.setattr(
        joint,
        "refresh",
        lambda task, changes, rows=None: looks.append((step, len(task.facts if rows is None else rows))),
    )
    for step in range(1, joint.LOOK + 1):
        joint._look(task, {}, step)
    firsts = sum(item.row.first and item.row.kind == "fact" for item in task.facts)
    assert 0 < firsts < len(task.facts)
    often = range(joint.LOOK_FIRST, joint.LOOK, joint.LOOK_FIRST)
    assert looks == [*((at, firsts) for at in often), (joint.LOOK, len(task.facts))]


def test_repeats_that_cost_more_than_they_mend_are_not_kept(
    raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = real_task(raw, replace(RECIPE, repeat_steps=1, most_repeats=3))
    changes = {layer: Change(torch.zeros(32, 1), torch.ones(1, len(w.right))) for layer, w in task.whitenings.items()}
    before = {layer: change.whitened() for layer, change in changes.items()}
    refresh(task, changes)
    start = joint._worst_first(task.facts)
    # Three repeats, of which the first is the least bad: found by how far they have moved.
    worst = iter([start, 0.5 * start, 0.9 * start, 2 * start, 2 * start])
    monkeypatch.setattr(joint, "_worst_first", lambda facts: next(worst))

    def moved(task: Task, changes: dict[int, Change], *_: object) -> None:
        for change in changes.values():
            change.left = change.left + 1

    monkeypatch.setattr(joint, "_step", moved)
    best = joint._repeated(task, changes, joint.Descent(1.0), Progress())
    for layer, change in best.items():
        assert torch.equal(change.whitened(), before[layer] + 1), "the first repeat's"
    losses = [item.loss for item in task.facts]
    refresh(task, best)
    assert losses == [item.loss for item in task.facts], "and the losses are those there"


def test_on_top_of_patches_every_row_is_measured_before_the_first_step(
    raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []
    chosen = joint.choose
    monkeypatch.setattr(joint, "choose", lambda task: seen.append([item.loss for item in task.facts]) or chosen(task))
    task = real_task(raw)
    train(task, Progress(), facts=1)
    assert all(loss < float("inf") for loss in seen[0]), "learned rows of older facts would take the new ones' places"
    (replay,) = (item for item in task.facts if item.row.kind == "replay")
    assert replay.before == seen[0][task.facts.index(replay)] > 0
    alone = real_task(raw)
    alone.facts = [item for item in alone.facts if item.row.kind == "fact"]
    seen.clear()
    train(alone, Progress(), facts=1)
    assert seen[0] == [float("inf")] * len(alone.facts), "new rows need no look: none is learned"


@pytest.mark.parametrize(("verdicts", "steps"), [([True, True], 4 + 1 + joint.FADING), ([True, False] * 20, 20)])
def test_training_ends_early_only_if_a_look_at_every_row_agrees(
    raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch, verdicts: list[bool], steps: int
) -> None:
    answers = iter(verdicts)
    taken: list[int] = []
    monkeypatch.setattr(joint, "_is_learned", lambda facts: next(answers))
    monkeypatch.setattr(joint, "_step", lambda *arguments: taken.append(1))
    train(real_task(raw, replace(RECIPE, steps=20, free_share=0.2)), Progress(), facts=1)
    assert len(taken) == steps


def test_a_look_at_every_row_is_not_followed_by_another(raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(joint, "LOOK", 5)
    monkeypatch.setattr(joint, "_is_learned", lambda facts: True)
    monkeypatch.setattr(joint, "_proves_learned", lambda task, changes: pytest.fail("all rows were just looked at"))
    monkeypatch.setattr(joint, "_step", lambda *arguments: taken.append(1))
    train(real_task(raw, replace(RECIPE, steps=20, free_share=0.2)), Progress(), facts=1)
    assert len(taken) == 5 + joint.FADING


def test_rows_are_measured_from_the_worst_on_until_one_is_not_learned(
    raw: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = real_task(raw)
    for number, item in enumerate(task.facts):
        item.loss = item.before + 0.001 * number
    worst_first = task.facts[::-1]
    measured: list[Prepared] = []
    monkeypatch.setattr(joint, "LOOKED_AT_ONCE", 2)
    monkeypatch.setattr(joint, "refresh", lambda task, changes, rows: measured.extend(rows))
    assert joint._proves_learned(task, {}) and measured == worst_first
    measured.clear()

    def moved(task: Task, changes: dict[int, Change], rows: Sequence[Prepared]) -> None:
        measured.extend(rows)
        rows[0].loss = 100.0

    monkeypatch.setattr(joint, "refresh", moved)
    assert not joint._proves_learned(task, {}) and measured == worst_first[:2]
    measured.clear()
    assert not joint._proves_learned(task, {}) and not measured, "what is known not to be learned needs no look"


def test_all_learned_means_first_questions_well_and_the_mean_of_all() -> None:
    def facts(first: float, others: float) -> list[Prepared]:
        own = Prepared(row([1, 2, 3], 1, first=True), torch.zeros(3, 2), loss=first)
        return [own, *items("fact", [others] * 9)]

    assert joint._is_learned(facts(RECALLED / 3, 0.01))
    assert not joint._is_learned(facts(RECALLED, 0.01)), "a first question is open"
    assert not joint._is_learned(facts(0.01, 2 * joint.LEARNED_MEAN)), "the others are open"
    assert not joint._is_learned(facts(0.01, float("inf"))), "not every row was seen"
    (lost,) = learned_first()
    lost.row, lost.loss, lost.before = replace(lost.row, kind="replay"), 1.0, 0.9
    assert not joint._is_learned([*facts(0.01, 0.01), lost]), "an older fact was lost"
    lost.before = 1.0
    assert joint._is_learned([*facts(0.01, 0.01), lost]), "an older fact that never was learned"
