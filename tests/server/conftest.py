"""Servers that tests share: a tiny model, the real engine, real sockets."""

from collections.abc import Iterator

import pytest

from homeedit.base.store import BaseModel
from homeedit.household import Household
from tests.server.live import Live, make_served_home, serving


@pytest.fixture(scope="module")
def served_home(tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel) -> Household:
    """A home with three builds of a tiny model; the third is active."""
    return make_served_home(tmp_path_factory.mktemp("served") / "home", tiny_base, builds=3)


@pytest.fixture(scope="module")
def live(served_home: Household) -> Iterator[Live]:
    """A server without a key; tests leave it as they found it."""
    with serving(served_home) as running:
        yield running


@pytest.fixture(scope="module")
def locked(served_home: Household) -> Iterator[Live]:
    """A server that wants the key ``a-key``."""
    with serving(served_home, api_key="a-key") as running:
        yield running
