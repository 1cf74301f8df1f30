"""Fixtures of all tests: models made once per session. Threads are explicit and nothing asks the network."""

import os

# Before torch and transformers are imported: both read these once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")
# Threads that spin while they wait take minutes when another program wants the same cores.
os.environ.setdefault("GOMP_SPINCOUNT", "30000")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

from homeedit.base.add import add_base  # noqa: E402
from homeedit.base.quantizing import default_quantization  # noqa: E402
from homeedit.base.sources import EMBEDDED  # noqa: E402
from homeedit.base.store import BaseModel, open_base, remove_base  # noqa: E402
from homeedit.errors import HomeEditError  # noqa: E402
from homeedit.progress import Progress  # noqa: E402
from tests.support.tiny import make_tiny_gguf  # noqa: E402

THREADS = int(os.environ["OMP_NUM_THREADS"])


@pytest.fixture(autouse=True)
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds the home of the person who runs it."""
    monkeypatch.setenv("HOMEEDIT_HOME", str(tmp_path / "home-of-no-one"))


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer GGUF; only to be read."""
    return make_tiny_gguf(tmp_path_factory.mktemp("tiny-source") / "tiny.gguf")


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory, tiny_gguf: Path) -> BaseModel:
    """A random two-layer base model, both layers edited; its files are only to be read."""
    models = tmp_path_factory.mktemp("tiny-models")
    return add_base(
        models,
        str(tiny_gguf),
        name="tiny",
        choose_layers=lambda shape: tuple(range(shape.layers)),
        threads=1,
        progress=Progress(),
    )


@pytest.fixture(scope="session")
def real_base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """The embedded SmolLM2 as ``init`` brings it, without statistics; only to be read.

    Kept between sessions in the folder HOMEEDIT_TEST_CACHE, if that is set.
    """
    from homeedit.editing.presets import default_layers, preset_layers

    cache = os.environ.get("HOMEEDIT_TEST_CACHE")
    models = Path(cache) / "models" if cache else tmp_path_factory.mktemp("real-models")
    try:
        base = open_base(models, EMBEDDED)
        as_now = default_layers(base.layers), default_quantization(base.parameters)
        if (base.edited_layers, base.quantization) == as_now:
            return base
    except HomeEditError:
        pass
    if (models / EMBEDDED).is_dir():
        remove_base(models, EMBEDDED)
    return add_base(models, EMBEDDED, name=None, choose_layers=preset_layers, threads=THREADS, progress=Progress())
