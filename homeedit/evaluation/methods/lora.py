"""LoRA through PEFT, on the facts' rows."""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from homeedit.errors import HomeEditError
from homeedit.evaluation.edit import Edit
from homeedit.evaluation.method import Setting, Taught
from homeedit.evaluation.methods.applying import answering
from homeedit.evaluation.methods.facts import facts_of
from homeedit.evaluation.methods.training import Budget, train, training_rows

if TYPE_CHECKING:
    from torch import Tensor

    from homeedit.editing.requests import Row


@dataclass(frozen=True, slots=True)
class LoRA:
    """Adapters of a rank on every linear layer of every block (``modules`` is what PEFT calls ``target_modules``),
    scaled by alpha / rank."""

    name: str = "lora"
    title: str = "LoRA"
    budget: Budget = Budget(rate=1e-3)
    rank: int = 8
    alpha: int = 16
    modules: str = "all-linear"

    def describe(self, setting: Setting) -> Mapping[str, Any]:
        """The budget, rank, alpha and modules."""
        own = {"rank": self.rank, "alpha": self.alpha, "modules": self.modules}
        return {**self.budget.as_dict(), "optimizer": "AdamW", **own}

    @contextmanager
    def teach(self, edits: Sequence[Edit], setting: Setting) -> Iterator[Taught]:
        """Teach all edits together. Raises HomeEditError when there are none, or PEFT is not installed."""
        if not edits:
            raise HomeEditError("There is nothing to teach: no edit was given.")
        start = time.perf_counter()
        adapters, report = self._train(edits, setting)
        seconds = time.perf_counter() - start
        size = sum(2 * (A.numel() + B.numel()) for A, B in adapters.values())
        scale = self.alpha / self.rank
        changes = ((name, scale * (B @ A)) for name, (A, B) in adapters.items())
        with answering(setting, changes) as model:
            yield Taught(model, seconds, {**report, "rank": self.rank, "bytes": size})

    def _train(
        self, edits: Sequence[Edit], setting: Setting
    ) -> "tuple[dict[str, tuple[Tensor, Tensor]], dict[str, Any]]":
        """(A [rank, in], B [out, rank]) of every adapted weight, float32, by the weight's name."""
        try:
            from peft import LoraConfig, get_peft_model
            from peft.tuners.lora import LoraLayer
        except ImportError as error:
            raise HomeEditError(
                f"LoRA is trained with PEFT, which cannot be imported: {error}.",
                "Install it (pip install peft), or leave lora out.",
            ) from error
        import torch

        from homeedit.base.load import load_model, load_tokenizer
        from homeedit.editing.devices import working_dtype
        from homeedit.editing.memory import use_threads
        from homeedit.editing.requests import ChatTokens

        use_threads(setting.threads)
        setting.progress.stage("loading", None)
        chat = ChatTokens(load_tokenizer(setting.base))
        raw = load_model(setting.base, setting.device, working_dtype(setting.device))
        config = LoraConfig(
            r=self.rank, lora_alpha=self.alpha, lora_dropout=0.0, target_modules=self.modules, task_type="CAUSAL_LM"
        )
        # PEFT draws the adapters' beginnings from the global random state.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of PEFT to its own makers
            torch.manual_seed(setting.seed)
            adapted = get_peft_model(raw, config)
        rows = training_rows(chat, facts_of(edits))
        report = train(
            [parameter for parameter in adapted.parameters() if parameter.requires_grad],
            lambda chosen: _losses(raw, [rows[index] for index in chosen]),
            rows,
            self.budget.steps(len(edits)),
            self.budget,
            seed=setting.seed,
            progress=setting.progress,
        )
        found = {
            f"{name}.weight": (
                layer.lora_A["default"].weight.detach().float(),
                layer.lora_B["default"].weight.detach().float(),
            )
            for name, layer in raw.named_modules()
            if isinstance(layer, LoraLayer)
        }
        return found, report


def _losses(model: Any, rows: "Sequence[Row]") -> "Tensor":
    """One loss a row, as ``row_losses`` has it: [rows] float32. Padding stands right of all real tokens, where no
    real token looks."""
    import torch

    from homeedit.editing.batches import ANSWER_SCALE, padded_ids
    from homeedit.editing.head import head_of

    device = model.get_input_embeddings().weight.device
    states = model.model(input_ids=padded_ids(rows, device).ids, use_cache=False).last_hidden_state
    said = torch.cat([states[number, row.start - 1 : len(row.ids) - 1] for number, row in enumerate(rows)])
    wanted = torch.tensor([token for row in rows for token in row.answer], device=device)
    weights = torch.tensor([weight / ANSWER_SCALE for row in rows for weight in row.weights], device=device)
    owner = torch.tensor([number for number, row in enumerate(rows) for _ in row.answer], device=device)
    losses = head_of(model).likelihood_losses(said, wanted) * weights
    return torch.zeros(len(rows), device=device).index_add(0, owner, losses)


def make(name: str) -> LoRA:
    """LoRA with its stated budget."""
    return LoRA(name)
