"""A home with the tiny model and its real statistics, and a setup that measures as little as there is."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from homeedit.base.store import BaseModel
from homeedit.editing.statistics import make_statistics
from homeedit.evaluation.speed.facts import read_sentences
from homeedit.evaluation.speed.setup import Setup
from homeedit.facts.ledger import Ledger
from homeedit.progress import Progress
from homeedit.settings import Home, Settings, write_settings


@pytest.fixture(scope="session")
def small_base(tiny_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """The tiny base model with statistics of its own; only to be read."""
    folder = tmp_path_factory.mktemp("evaluated") / "models" / "tiny"
    shutil.copytree(tiny_base.folder, folder, ignore=shutil.ignore_patterns("statistics.safetensors", "builds"))
    base = replace(tiny_base, folder=folder)
    make_statistics(base, seed=0, device="cpu", threads=1, progress=Progress())
    return base


@pytest.fixture
def home(small_base: BaseModel, tmp_path: Path) -> Home:
    """A home with that model and no facts."""
    made = Home(tmp_path / "home")
    write_settings(made, Settings(model="tiny", device="cpu", threads=1))
    made.edits.mkdir()
    shutil.copytree(small_base.folder, made.models / "tiny")
    with Ledger(made.ledger, create=True):
        pass
    return made


@pytest.fixture
def setup(small_base: BaseModel, tmp_path: Path) -> Setup:
    folder = tmp_path / "throw-away"
    folder.mkdir()
    return Setup(
        base=small_base,
        sentences=read_sentences(None),
        folder=folder,
        device="cpu",
        threads=1,
        seed=0,
        progress=Progress(),
        count=2,
        reference_facts=1,
        quick=True,
    )


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder with its sha256."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
