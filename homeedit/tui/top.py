"""The line at the top: what is served, how the facts fare, and the way to all actions."""

from textual.widgets import Static

from homeedit.household import Household
from homeedit.tui.words import build_name


class AllActions(Static):
    """Where a mouse opens the palette, in which every action stands."""

    def on_click(self) -> None:
        """Open the palette."""
        self.app.action_command_palette()


def state_line(household: Household) -> str:
    """What is served and how the facts fare, in a few words."""
    facts = household.facts()
    counts = {state: sum(fact.state == state and fact.enabled for fact in facts) for state in ("live", "failed")}
    waiting = sum(fact.state in ("draft", "compiled") and fact.enabled for fact in facts)
    parts = [f"{counts['live']} live"]
    parts += [f"{counts['failed']} failed"] if counts["failed"] else []
    parts += [f"{waiting} to compile"] if waiting else []
    return f"{build_name(household.active_number())} · {', '.join(parts)}"
