"""Descent on changes written in whitened keys: steps of a set length, with all directions free or on a low rank.

Whitened keys have the preserved text's second moment as their unit, so the plain gradient there is the natural
one on the input side, and nothing adaptive per coordinate is wanted: Adam's equal steps in every coordinate move
preserved text more than twice as much at the same loss (README.md). On a low rank the same step is taken in the
tangent space of B A: each factor's gradient is scaled by the inverse Gram matrix of the other one (ScaledGD,
Tong, Ma and Chi 2021, arXiv 2005.08898, eq. 3). Both factors take the part of a step that lies in the column space
and in the row space of B A, so that part counts twice; in the orthogonal projection it would count once.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from homeedit.editing.devices import solving_device

MOMENTUM = 0.9
MEMORY = 0.98
"""Of the running mean of the squared gradient norm, by which steps are scaled."""
MOST = 2.0
"""A gradient counts as at most so many times as long as usual: a single one, six times as long, was followed by the
momentum for ten steps, and a fact was not learned (measurements.md)."""
DAMPING = 1e-4
"""Of the Gram matrices, as a share of their mean diagonal."""


@dataclass(slots=True)
class Change:
    """A layer's change in whitened keys: left [d_model, m] alone, or left [d_model, r] @ right [r, m]; float32."""

    left: Tensor
    right: Tensor | None = None

    def whitened(self) -> Tensor:
        """The change [d_model, m]."""
        return self.left if self.right is None else self.left @ self.right

    def move(self, step: Tensor) -> None:
        """Subtract a step S [d_model, m]; on a low rank, to first order, P S + S Q with the projectors on the
        change's column space and row space."""
        if self.right is None:
            self.left = self.left - step
            return
        left, right = self.left, self.right
        self.left = left - _scaled(right @ right.T, right @ step.T).T
        self.right = right - _scaled(left.T @ left, left.T @ step)

    def factors(self, whitening: Tensor) -> tuple[Tensor, Tensor]:
        """(A [r, d_ff], B [d_model, r]) of the change of the weight; ``whitening`` is Q C^(-1/2) [m, d_ff]."""
        return (whitening if self.right is None else self.right @ whitening), self.left


def _scaled(gram: Tensor, gradient: Tensor) -> Tensor:
    damped = gram.clone()
    # Never zero: a change that is nothing yet has a Gram matrix of zeros.
    damped.diagonal().add_((DAMPING * gram.diagonal().mean()).clamp_min(torch.finfo(gram.dtype).tiny))
    where = solving_device(gram.device)
    found: Tensor = torch.linalg.solve(damped.to(where), gradient.to(where)).to(gram.device)
    return found


def copied(changes: Mapping[int, Change]) -> dict[int, Change]:
    """Changes that stay as they are when these are moved on."""
    return {layer: replace(change) for layer, change in changes.items()}


def cut_to_rank(change: Change, rank: int) -> Change:
    """The best rank-r change in the metric of the preserved keys, with balanced factors."""
    whole = change.whitened()
    # On the CPU: not every accelerator has this decomposition.
    left, values, right = (part.to(whole.device) for part in torch.linalg.svd(whole.cpu(), full_matrices=False))
    root = values[:rank].sqrt()
    return Change(left[:, :rank] * root, root[:, None] * right[:rank])


@dataclass(slots=True)
class Descent:
    """Momentum descent over all layers together. ``unit`` is the length of a step at rate 1."""

    unit: float
    momentum: dict[int, Tensor] = field(default_factory=dict)
    square: float = 0.0
    count: int = 0

    def step(self, changes: dict[int, Change], gradients: dict[int, Tensor], rate: float) -> None:
        """Move every layer against its gradients [d_model, m]; their common norm sets the scale, so a layer that
        matters more moves more."""
        length = sum(float(gradient.square().sum()) for gradient in gradients.values()) ** 0.5
        most = MOST * self._usual()
        cut = most / length if 0 < most < length else 1.0
        self.count += 1
        self.square = MEMORY * self.square + (1 - MEMORY) * (cut * length) ** 2
        norm = self._usual()
        scale = rate * self.unit / (norm * (1 - MOMENTUM**self.count)) if norm else 0.0
        for layer, gradient in gradients.items():
            running = self.momentum.setdefault(layer, torch.zeros_like(gradient))
            running.lerp_(cut * gradient, 1 - MOMENTUM)
            changes[layer].move(running * scale)

    def _usual(self) -> float:
        """The root of the running mean of the squared gradient norm; 0 before the first."""
        return math.sqrt(self.square / (1 - MEMORY**self.count)) if self.count else 0.0
