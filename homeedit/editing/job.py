"""What a method is given to work on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from homeedit.editing.model import EditableModel
from homeedit.editing.recipes import Recipe
from homeedit.editing.requests import ChatTokens, Row
from homeedit.editing.statistics import Statistics
from homeedit.facts.fact import Fact


@dataclass(frozen=True, slots=True)
class Job:
    """The model, the rows, the statistics and the numbers; ``earlier_keys`` [n, d_ff] per layer are Kp."""

    model: EditableModel
    chat: ChatTokens
    facts: tuple[Fact, ...]
    rows: list[Row]
    earlier_keys: dict[int, Tensor]
    statistics: Statistics
    recipe: Recipe
    generator: torch.Generator
