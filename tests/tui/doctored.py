"""Long work in the test's own thread, and a doctor that finds the same everywhere."""

from typing import Any

from homeedit.household import Household
from homeedit.household.results import Check
from homeedit.progress import Progress
from tests.tui.driver import call_here

CHECKS = [
    Check("machine", True, "Linux, 2 cores used"),
    Check("disk", False, "0.1 GB free; 2 GB are advisable"),
    Check("ledger", True, "3 facts, whole"),
]


def call_doctored(household: Household, method: str, *arguments: Any, progress: Progress, **options: Any) -> Any:
    """As ``call_here``, but the real doctor would load torch and llama.cpp into the test's process."""
    if method == "doctor":
        progress.stage("checks")
        for check in CHECKS:
            progress.advance(note=check.check)
        return CHECKS
    return call_here(household, method, *arguments, progress=progress, **options)
