"""Household: add, compile, ask, verify, revert, export; what every face calls.

``core`` holds the class, ``plan`` decides what a compile has to do, ``compiling`` does it, ``checking`` asks
the result, ``reverting`` takes facts out, ``teaching`` takes sentences in, ``exchanging`` moves patches
between homes, ``bases`` brings base models, ``machine`` is the doctor, ``lock`` keeps writers apart.
"""

from homeedit.household.core import Household
from homeedit.household.teaching import Contradiction, OnConflict

__all__ = ["Contradiction", "Household", "OnConflict"]
