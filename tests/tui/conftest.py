"""Homes for the app: those of the household's own tests."""

from tests.household.conftest import home, household, no_training, world

__all__ = ["home", "household", "no_training", "world"]
