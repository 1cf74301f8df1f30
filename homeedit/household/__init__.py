"""Household: add, compile, ask, verify, revert, export; what every face calls.

``core`` holds the class, with ``knowing`` (facts) and ``building`` (models) on ``opened``. ``teaching`` takes
sentences in, ``importing`` many of them from ``entries``, ``restoring`` undoes, ``typed`` keeps what is not stored
yet. ``plan`` decides what a compile has to do, ``outlook`` tells it,
``compiling`` does it, ``checking`` asks the result, ``reverting`` takes facts out. ``asking`` and ``talking`` answer,
``serving`` answers the clients of a server, ``comparing`` and ``recorded`` read what was written down,
``exchanging`` moves patches between homes. ``bases`` brings base models, ``describing`` tells of them,
``adjusting`` changes settings, ``machine`` is the doctor, ``lock`` keeps writers apart.
"""

from homeedit.household.core import Household
from homeedit.household.teaching import Contradiction, OnConflict

__all__ = ["Contradiction", "Household", "OnConflict"]
