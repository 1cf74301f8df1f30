"""What was asked of one fact and answered, and what can be done when it failed."""

from collections.abc import Mapping, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from homeedit.facts.fact import Fact
from homeedit.household.results import FactResult
from homeedit.tui.widgets.fact_words import recall_words, shown_state, state_words
from homeedit.tui.words import plain


def state_of_row(result: FactResult, fact: Fact | None, refused: bool) -> str:
    """The state of the fact as it is now; of a build that was refused, how the fact fared in that build."""
    if refused:
        return "– not asked" if not result.asked else "✓ recalled" if result.asked[0].right else "✗ missed"
    return "– removed" if fact is None else state_words(shown_state(fact))


def answers_text(result: FactResult, fact: Fact | None, advice: str = "", *, refused: bool = False) -> Text:
    """The sentence, why it was refused, and every question with its answer."""
    text = Text()
    text.append(f"{result.id}  {plain(result.sentence)}\n", style="bold")
    state = state_of_row(result, fact, refused)
    text.append(f"{state} in the build that was refused\n" if refused else f"{state}\n")
    if fact is not None and fact.sentence != result.sentence:
        text.append(f"Changed since: {plain(fact.sentence)}\n")
    elif fact is not None and fact.state == "draft":
        text.append("Changed since; the next compile teaches it.\n")
    if result.refused:
        text.append(f"Refused: {plain(result.refused)}\n")
    for asked in result.asked:
        text.append(f"{'✓' if asked.right else '✗'} {plain(asked.question)}\n", style="" if asked.right else "bold")
        text.append(f"  → {plain(asked.answer) or '(nothing)'}\n")
    if not result.asked:
        text.append("It was not asked in this build.\n")
    missed = any(not asked.right for asked in result.asked[:1])
    if fact is not None and fact.enabled and (fact.state == "failed" or missed):
        text.append(advice, style="bold")
    text.rstrip()
    return text


class Answers(VerticalScroll):
    """The answers of the fact under the cursor."""

    DEFAULT_CSS = """
    Answers { border-top: solid $panel-lighten-2; border-title-color: $text-muted; scrollbar-size-vertical: 1; }
    Answers:focus { border-top: heavy $accent; border-title-color: $text; border-title-style: bold; }
    Answers > Static { height: auto; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = "Answers"

    def compose(self) -> ComposeResult:
        yield Static("", markup=False)

    def show(self, text: Text) -> None:
        """Show these answers from the top."""
        self.query_one(Static).update(text)
        self.scroll_home(animate=False)


def rows_of(
    results: Sequence[FactResult], facts: Mapping[str, Fact], *, refused: bool = False
) -> list[tuple[str, tuple[str, ...]]]:
    """The rows of a table: id, state, recall, sentence."""
    return [
        (
            result.id,
            (
                result.id,
                state_of_row(result, facts.get(result.id), refused),
                recall_words(result),
                result.sentence,
            ),
        )
        for result in results
    ]
