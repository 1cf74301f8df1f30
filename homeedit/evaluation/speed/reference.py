"""AlphaEdit as published, plainly, to compare speed with: one fact at a time, the whole model at every step.

Source: AlphaEdit (arXiv 2410.02355, eq. 14) on MEMIT's search for z (arXiv 2210.07229, eq. 16), as their code runs
them: float32, all contexts of a fact in one padded batch through the whole model with logits at every position, a
dense d_ff × d_ff system with a dense P and a dense history. Left out, in the reference's favour: MEMIT's row for the
KL on the subject's essence, and a second forward pass per layer (keys and residual are measured in one).
"""

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from homeedit.base.architecture import architecture_named
from homeedit.base.load import load_model, load_tokenizer
from homeedit.base.store import BaseModel
from homeedit.editing.devices import exact
from homeedit.editing.preserved import null_space
from homeedit.editing.recipes import Recipe, recipe_for
from homeedit.editing.requests import ChatTokens, Row, fact_rows
from homeedit.editing.statistics import Statistics
from homeedit.evaluation.speed.measurement import Measurement
from homeedit.evaluation.speed.setup import Setup
from homeedit.facts.fact import Fact
from homeedit.progress import Progress

DECAY = 0.5
"""Weight of ‖δ‖ / ‖h‖² in the search for z (MEMIT's ``v_weight_decay``)."""
NORM_CAP = 4.0
"""Of ‖δ‖ / ‖h‖; the product's, as the published 0.75 was set for models of billions of parameters."""
LEARNED = 0.05
"""The published code stops searching at this loss; here it is only noted when."""
PUBLISHED_CONTEXTS = 6
"""Contexts a fact in the published code: the bare prompt and five with a generated beginning."""
ALL_ROWS, FEW_ROWS = "reference, all rows of a fact", f"reference, {PUBLISHED_CONTEXTS} contexts a fact"


def published_form(keys: Tensor, residuals: Tensor, history: Tensor, projector: Tensor, ridge: float) -> Tensor:
    """Δ [d_model, d_ff] by the published formula: the solution X of (P (K Kᵀ + H) + λ I) X = P K Rᵀ, transposed.

    ``keys`` [n, d_ff] and ``residuals`` [n, d_model] are rows; ``history`` H = Kp Kpᵀ and ``projector`` P are
    [d_ff, d_ff]. Time d_ff³; memory five d_ff × d_ff matrices. Runs in the dtype and on the device of its inputs.
    """
    system = projector @ (keys.T @ keys + history)
    system.diagonal().add_(ridge)
    solved: Tensor = torch.linalg.solve(system, projector @ keys.T @ residuals)
    return solved.T


@dataclass(frozen=True, slots=True)
class Context:
    """The rows of a fact as one batch: right-padded ids and mask [rows, length], the subject's last token of each row
    [rows], and what each position must predict [rows, length] (-100: nothing)."""

    ids: Tensor
    mask: Tensor
    subject_ends: Tensor
    wanted: Tensor


@dataclass(frozen=True, slots=True)
class Edited:
    """How long one fact took, in seconds; the losses of the first and the last step of its search, and after how many
    steps the published code would have stopped (None: not before the last)."""

    search: float
    solve: float
    steps: int
    enough: int | None
    tokens: int
    losses: tuple[float, float]

    @property
    def total(self) -> float:
        """Seconds of the fact."""
        return self.search + self.solve

    @property
    def stopped(self) -> float:
        """Seconds of the fact with the published code's stop at a loss of 0.05."""
        steps = self.steps if self.enough is None else self.enough
        return self.search * steps / self.steps + self.solve


class Reference:
    """A model of its own in float32 that facts are edited into, one by one; the base model's files are only read.

    Memory: the model in float32, logits of a fact's rows at every position with their gradients, and for each edited
    layer P and history, d_ff × d_ff.
    """

    def __init__(
        self, base: BaseModel, recipe: Recipe, device: str, model: Any = None, chat: ChatTokens | None = None
    ) -> None:
        """``model`` in float32 and ``chat``, if they are there already."""
        architecture = architecture_named(base.architecture)
        self.chat = chat or ChatTokens(load_tokenizer(base))
        self.model = load_model(base, device, torch.float32) if model is None else model
        self.device = device
        self.recipe = recipe
        blocks = self.model.get_submodule(architecture.layers_path)
        self.last_block = blocks[max(recipe.layers)]
        self.edited = {layer: blocks[layer].get_submodule(architecture.down_proj) for layer in recipe.layers}
        statistics = Statistics(base.statistics, base.fingerprint)
        self.projectors: dict[int, Tensor] = {}
        self.history: dict[int, Tensor] = {}
        for layer in recipe.layers:
            space = null_space(exact(statistics.second_moment(layer).to(device)), recipe.threshold)
            whole = torch.eye(base.d_ff, dtype=torch.float64, device=space.directions.device)
            self.projectors[layer] = space.project(whole).float().to(device)
            self.history[layer] = torch.zeros(base.d_ff, base.d_ff, device=device)

    def rows(self, fact: Fact, most: int | None) -> list[Row]:
        """The fact's rows that hold its subject: all, or the first ones and the bare statement."""
        found = [row for row in fact_rows(self.chat, [fact]) if row.subject_end >= 0]
        return found if most is None or len(found) <= most else [*found[: most - 1], found[-1]]

    def context(self, rows: Sequence[Row]) -> Context:
        """Rows as a batch, the prefix that chat turns share before each of them."""
        prefixes = [self.chat.prefix if row.prefixed else () for row in rows]
        length = max(len(prefix) + len(row.ids) for prefix, row in zip(prefixes, rows, strict=True))
        ids, mask = torch.zeros(2, len(rows), length, dtype=torch.long)
        wanted = torch.full((len(rows), length), -100)
        for number, (prefix, row) in enumerate(zip(prefixes, rows, strict=True)):
            end, start = len(prefix) + len(row.ids), len(prefix) + row.start
            ids[number, :end] = torch.tensor((*prefix, *row.ids))
            mask[number, :end] = 1
            wanted[number, start - 1 : end - 1] = torch.tensor(row.answer)
        subject_ends = torch.tensor([len(p) + row.subject_end for p, row in zip(prefixes, rows, strict=True)])
        return Context(*(part.to(self.device) for part in (ids, mask, subject_ends, wanted)))

    def edit(self, fact: Fact, progress: Progress, most: int | None = None) -> Edited:
        """Edit one fact into the model: search for z, then solve layer by layer."""
        context = self.context(self.rows(fact, most))
        start = time.perf_counter()
        z, losses = self.search(context, progress)
        middle = time.perf_counter()
        for number, layer in enumerate(self.recipe.layers):
            progress.check()
            keys, state = self.observe(context)
            residual = (z - state) / (len(self.recipe.layers) - number)
            change = published_form(
                keys[layer][None], residual[None], self.history[layer], self.projectors[layer], self.recipe.ridge
            )
            self.edited[layer].weight.add_(change)
        for layer, key in self.observe(context)[0].items():
            self.history[layer].addr_(key, key)
        # What ends on an accelerator is waited for: the history is read.
        float(self.history[max(self.recipe.layers)][0, 0])
        end = time.perf_counter()
        enough = next((step for step, loss in enumerate(losses) if loss < LEARNED), None)
        return Edited(middle - start, end - middle, len(losses), enough, context.ids.numel(), (losses[0], losses[-1]))

    def search(self, context: Context, progress: Progress) -> tuple[Tensor, list[float]]:
        """z [d_model], and the loss of every step (nats per answer token, and the decay).

        Adam over the one vector that is added at the subject's last token after the last edited layer.
        """
        start = self.observe(context)[1]
        change = torch.zeros_like(start, requires_grad=True)
        optimizer = torch.optim.Adam([change], lr=self.recipe.rate)
        losses: list[float] = []
        at = (torch.arange(len(context.ids), device=start.device), context.subject_ends)

        def add(_: Any, __: Any, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            moved = hidden.index_put(at, change, accumulate=True)
            return (moved, *output[1:]) if isinstance(output, tuple) else moved

        hook = self.last_block.register_forward_hook(add)
        try:
            for _ in range(self.recipe.steps):
                progress.check()
                optimizer.zero_grad()
                logits = self.model(input_ids=context.ids, attention_mask=context.mask, use_cache=False).logits
                missing = functional.cross_entropy(logits.transpose(1, 2), context.wanted, reduction="none")
                spoken = (context.wanted >= 0).sum(1)
                loss = (missing.sum(1) / spoken).mean() + DECAY * change.norm() / start.square().sum()
                losses.append(loss.item())
                torch.autograd.backward(loss)
                optimizer.step()
                with torch.no_grad():
                    change.mul_(min(1.0, float(NORM_CAP * start.norm() / change.norm().clamp_min(1e-9))))
        finally:
            hook.remove()
        return start + change.detach(), losses

    def observe(self, context: Context) -> tuple[dict[int, Tensor], Tensor]:
        """Mean keys [d_ff] of every edited layer and mean state [d_model] after the last, at the subject's last token,
        in one pass through the whole model."""
        rows = torch.arange(len(context.ids), device=context.ids.device)
        keys: dict[int, Tensor] = {}
        states: list[Tensor] = []

        def key_of(layer: int) -> Any:
            def keep(_: Any, inputs: tuple[Tensor, ...]) -> None:
                keys[layer] = inputs[0][rows, context.subject_ends].mean(0)

            return keep

        def keep_state(_: Any, __: Any, output: Any) -> None:
            hidden = output[0] if isinstance(output, tuple) else output
            states.append(hidden[rows, context.subject_ends].mean(0))

        hooks = [module.register_forward_pre_hook(key_of(layer)) for layer, module in self.edited.items()]
        hooks.append(self.last_block.register_forward_hook(keep_state))
        try:
            with torch.no_grad():
                self.model(input_ids=context.ids, attention_mask=context.mask, use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()
        return keys, states[0]


def measure(setup: Setup) -> Iterator[Measurement]:
    """Seconds a fact, over all rows (what the default trains on) and over as many contexts as published (what the
    closed form searches with)."""
    torch.set_num_threads(setup.threads)
    facts = setup.facts(setup.reference_facts)
    for name, most in ((ALL_ROWS, None), (FEW_ROWS, PUBLISHED_CONTEXTS)):
        setup.progress.stage("reference: loading", None)
        # Anew each time: facts that are edited in already are found in a few steps.
        reference = Reference(setup.base, recipe_for("alphaedit", setup.base), setup.device)
        setup.progress.stage(name, len(facts))
        found = []
        for fact in facts:
            found.append(reference.edit(fact, setup.progress, most))
            setup.progress.advance()
        yield Measurement(name, _mean([each.total for each in found]), "s/fact", note=_note(reference, found))
        yield Measurement(
            f"{name}, stopped at loss {LEARNED}",
            _mean([each.stopped for each in found]),
            "s/fact",
            note=f"the published code stops there; here after {_listed(found)} steps (computed from the run above)",
        )
        del reference
        gc.collect()


def _note(reference: Reference, found: Sequence[Edited]) -> str:
    many = f"{len(found)} facts" if len(found) > 1 else "1 fact"
    return (
        f"measured on {many}, each costs the same by construction: {found[0].steps} steps over "
        f"{' and '.join(str(each.tokens) for each in found)} padded tokens, whole model, float32; search "
        f"{_mean([each.search for each in found]):.1f} s, {len(reference.edited)} dense solves "
        f"{_mean([each.solve for each in found]):.1f} s; P is made before and not counted; loss "
        f"{' and '.join(f'{each.losses[0]:.2f} to {each.losses[1]:.2f}' for each in found)}"
    )


def _listed(found: Sequence[Edited]) -> str:
    return " and ".join(f"all {each.steps}" if each.enough is None else str(each.enough) for each in found)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
