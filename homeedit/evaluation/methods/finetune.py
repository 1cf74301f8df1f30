"""Fine-tuning: the whole ``down_proj`` of the edited layers, on the facts' rows.

With ``most_change`` set it is constrained fine-tuning, FT-L (arXiv 2012.00363, as in ROME, arXiv 2202.05262): no
weight moves by more than ε.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from homeedit.base.architecture import architecture_named
from homeedit.errors import HomeEditError
from homeedit.evaluation.edit import Edit
from homeedit.evaluation.method import Setting, Taught
from homeedit.evaluation.methods.applying import answering
from homeedit.evaluation.methods.facts import facts_of
from homeedit.evaluation.methods.training import Budget, train, training_rows

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class FineTuning:
    """Full fine-tuning of some layers' ``down_proj`` (None: the base's edited layers); ``most_change`` is ε, the
    largest change of a single weight (None: no bound)."""

    name: str = "finetune"
    title: str = "fine-tuning of the edited layers' down_proj"
    budget: Budget = Budget(rate=1e-4)
    layers: tuple[int, ...] | None = None
    most_change: float | None = None

    def describe(self, setting: Setting) -> Mapping[str, Any]:
        """The budget, the layers and ε."""
        layers = list(self.layers or setting.base.edited_layers)
        return {**self.budget.as_dict(), "optimizer": "AdamW", "layers": layers, "most_change": self.most_change}

    @contextmanager
    def teach(self, edits: Sequence[Edit], setting: Setting) -> Iterator[Taught]:
        """Teach all edits together. Raises HomeEditError when there are none."""
        if not edits:
            raise HomeEditError("There is nothing to teach: no edit was given.")
        start = time.perf_counter()
        changes, report = self._train(edits, setting)
        seconds = time.perf_counter() - start
        name_of = architecture_named(setting.base.architecture).down_proj_weight
        size = sum(2 * change.numel() for change in changes.values())
        with answering(setting, ((name_of(layer), change) for layer, change in changes.items())) as model:
            yield Taught(model, seconds, {**report, "layers": sorted(changes), "bytes": size})

    def _train(self, edits: Sequence[Edit], setting: Setting) -> "tuple[dict[int, Tensor], dict[str, Any]]":
        """The change [d_model, d_ff] of every layer, float32; the weights themselves stay in the working dtype, so
        no small step is rounded away."""
        import torch

        from homeedit.base.load import load_model, load_tokenizer
        from homeedit.editing.batches import prepare, row_losses, stacked
        from homeedit.editing.devices import working_dtype
        from homeedit.editing.memory import use_threads
        from homeedit.editing.model import EditableModel
        from homeedit.editing.requests import ChatTokens

        use_threads(setting.threads)
        setting.progress.stage("loading", None)
        base, dtype = setting.base, working_dtype(setting.device)
        chat = ChatTokens(load_tokenizer(base))
        layers = self.layers or base.edited_layers
        raw = load_model(base, setting.device, dtype)
        model = EditableModel(raw, architecture_named(base.architecture), layers, ())
        rows = training_rows(chat, facts_of(edits))
        prepared, _ = prepare(model, rows, setting.progress)
        changes = {
            layer: torch.zeros_like(linear.weight, dtype=torch.float32, requires_grad=True)
            for layer, linear in model.edited.items()
        }

        def losses_of(chosen: Sequence[int]) -> "Tensor":
            found = [prepared[index] for index in chosen]
            model.change({layer: change.to(dtype) for layer, change in changes.items()})
            return row_losses(model, model.upper(stacked(found), False), found)

        def bound() -> None:
            if self.most_change is not None:
                with torch.no_grad():
                    for change in changes.values():
                        change.clamp_(-self.most_change, self.most_change)

        report = train(
            list(changes.values()),
            losses_of,
            rows,
            self.budget.steps(len(edits)),
            self.budget,
            seed=setting.seed,
            progress=setting.progress,
            after=bound,
        )
        return {layer: change.detach() for layer, change in changes.items()}, report


def make(name: str) -> FineTuning:
    """Fine-tuning with its stated budget."""
    return FineTuning(name)
