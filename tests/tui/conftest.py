"""Homes for the app: those of the household's own tests, and one with builds."""

import pytest

from homeedit.household import Household
from tests.household.conftest import World, home, household, no_training, world
from tests.household.test_compile import SENTENCES, teach

__all__ = ["home", "household", "no_training", "world"]


@pytest.fixture
def taught(household: Household, world: World) -> Household:
    """A home with three builds of one, two and three patches; the last is served."""
    for sentence in SENTENCES[:3]:
        teach(household, sentence)
        household.compile()
    return household
