"""Stands in for what needs a trained model: a compile that returns small random factors, and answers.

Used in the test process (``install``) and in processes of their own (``python -m tests.cli.driver``), where
the modules that import torch are replaced before anything imports them.
"""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from homeedit.base.store import BaseModel
from homeedit.editing.delta import Array, Delta, LowRank
from homeedit.facts.fact import Fact
from homeedit.facts.ledger import Ledger
from homeedit.progress import Progress
from homeedit.settings import Home, Settings, write_settings


@dataclass(frozen=True)
class Parent:
    facts: tuple[Fact, ...]
    delta: Delta
    keys: dict[int, Array]


@dataclass(frozen=True)
class Compiled:
    delta: Delta
    keys: dict[int, Array]
    report: dict[str, Any] = field(default_factory=dict)


COMPILED: list[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]] = []
"""Calls of the fake compile: ids compiled, and ids of each patch it stood on."""


def compile_facts(
    facts: Sequence[Fact],
    *,
    base: BaseModel,
    kept: Sequence[Parent],
    recipe: Any,
    seed: int,
    device: str,
    threads: int,
    progress: Progress,
) -> Compiled:
    """Small factors drawn from the facts' words, and two stages as a real compile reports them."""
    ids = tuple(fact.id for fact in facts)
    COMPILED.append((ids, tuple(tuple(fact.id for fact in parent.facts) for parent in kept)))
    progress.stage("loading", None)
    below = [fact.prompt + fact.target for parent in kept for fact in parent.facts]
    words = " ".join([fact.prompt + fact.target for fact in facts] + below + [str(recipe.change_penalty)])
    random = np.random.default_rng(int(hashlib.sha256(words.encode()).hexdigest()[:8], 16) + seed)
    progress.stage("training", 3)
    for _ in range(3):
        progress.advance()
    rank = 2 * len(facts)
    delta = {
        layer: LowRank(
            A=(random.standard_normal((rank, base.d_ff)) * 1e-2).astype(np.float16),
            B=(random.standard_normal((base.d_model, rank)) * 1e-2).astype(np.float16),
        )
        for layer in base.edited_layers
    }
    keys = {
        layer: random.standard_normal((3 * len(facts), base.d_ff)).astype(np.float16) for layer in base.edited_layers
    }
    return Compiled(delta, keys)


def make_statistics(base: BaseModel, *, seed: int, device: str, threads: int, progress: Progress) -> None:
    """A file in the place of the statistics, written as the real one is."""
    progress.stage("keeping answers", 1)
    partial = base.statistics.with_suffix(".partial")
    partial.write_bytes(b"statistics")
    partial.replace(base.statistics)


def have_statistics(base: BaseModel) -> bool:
    return base.statistics.exists()


def module_of_fakes(name: str) -> ModuleType:
    """A module with the fakes, to be put in the place of one that imports torch."""
    module = ModuleType(name)
    for fake in (Parent, Compiled, compile_facts, make_statistics, have_statistics):
        setattr(module, fake.__name__, fake)
    return module


def install() -> None:
    """Put the fakes in the place of the two modules, before anything imports them."""
    for name in ("homeedit.editing.compile", "homeedit.editing.statistics"):
        sys.modules[name] = module_of_fakes(name)


def make_home(root: Path, base: BaseModel, **settings: Any) -> Home:
    """A home in ``root`` with a copy of ``base``, called tiny, as if ``init`` had made it."""
    import shutil

    home = Home(root)
    home.edits.mkdir(parents=True)
    write_settings(home, Settings(**({"model": "tiny", "device": "cpu", "threads": 1} | settings)))
    shutil.copytree(base.folder, home.models / "tiny")
    (home.models / "tiny" / "statistics.safetensors").write_bytes(b"statistics")
    with Ledger(home.ledger, create=True):
        pass
    return home
