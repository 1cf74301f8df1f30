"""Facts in words and symbols: state, recall, dates, and what was understood of a sentence."""

from collections.abc import Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from homeedit.facts.fact import Fact, ParsedFact
from homeedit.household.results import FactResult
from homeedit.tui.understanding import Understood
from homeedit.tui.words import shortened

STATES = ("failed", "draft", "compiled", "live", "disabled")
"""Every state that is shown, what needs care first."""
SYMBOLS = {"live": "✓", "failed": "✗", "compiled": "●", "draft": "○", "disabled": "–"}
MEANINGS = {
    "live": "in the model that is served, and recalled",
    "failed": "refused by the last compile, or asked and not recalled",
    "compiled": "compiled, but not in the build that is served",
    "draft": "not compiled yet",
    "disabled": "switched off; the next compile leaves it out",
}
_QUESTIONS_SHOWN = 3


def shown_state(fact: Fact) -> str:
    """The state a person cares about: a switched-off fact is disabled, whatever else it is."""
    return fact.state if fact.enabled else "disabled"


def state_words(state: str) -> str:
    """Symbol and word."""
    return f"{SYMBOLS[state]} {state}"


def recall_words(result: FactResult | None) -> str:
    """How many of the questions were answered rightly: "2/3"; "" when none was asked."""
    if result is None or not result.asked:
        return ""
    return f"{sum(asked.right for asked in result.asked)}/{len(result.asked)}"


def short_date(timestamp: str, now: datetime | None = None) -> str:
    """When, as short as it can be: the time today, the day this year, else the month and year."""
    try:
        when = datetime.fromisoformat(timestamp).astimezone()
    except ValueError:
        return ""
    today = (now or datetime.now().astimezone()).astimezone()
    if when.date() == today.date():
        return f"{when:%H:%M}"
    return f"{when.day} {when:%b}" if when.year == today.year else f"{when:%b %Y}"


def listing(*rows: tuple[str, str | Text]) -> Table:
    """Labels and texts beside them, each wrapped in its own column."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(Text(label), text if isinstance(text, Text) else Text(text))
    return table


def quoted(fact: Fact) -> str:
    """A fact in a message: id and the beginning of its sentence."""
    return f'{fact.id} "{shortened(fact.sentence, 60)}"'


def notices(understood: Understood) -> list[Text]:
    """What stands against a sentence: not understood, known already, said otherwise."""
    lines = []
    if understood.error is not None:
        lines.append(Text(f"✗ {understood.error.message}", style="bold"))
        lines += [Text(f"  {understood.error.hint}")] if understood.error.hint else []
    if understood.duplicate is not None:
        known = understood.duplicate
        off = "" if known.enabled else " (it is switched off)"
        lines.append(Text(f"= Known already: {known.id}, {state_words(shown_state(known))}{off}", style="bold"))
    for fact in understood.contradicted:
        lines.append(Text(f'! Says otherwise: {fact.id} "{shortened(fact.sentence, 200)}"', style="bold"))
    return lines


def meaning(parsed: ParsedFact | Fact) -> Table:
    """What was understood of a sentence: subject, prompt, answer, and some of the questions."""
    return listing(
        ("Subject", parsed.subject),
        ("Prompt", f"{parsed.prompt} …"),
        ("Answer", parsed.target),
        ("Questions", some_questions(parsed.questions)),
    )


def some_questions(questions: Sequence[str]) -> str:
    """The first questions, and how many more there are."""
    more = len(questions) - _QUESTIONS_SHOWN
    return "  ·  ".join([*questions[:_QUESTIONS_SHOWN], *([f"and {more} more"] if more > 0 else [])])
