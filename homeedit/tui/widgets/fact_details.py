"""All of one fact: words, questions with what the served model answered, how it was worded before."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from homeedit.tui.widgets.fact_filter import KnownFact
from homeedit.tui.widgets.fact_words import MEANINGS, listing, recall_words, short_date, state_words
from homeedit.tui.words import plain

if TYPE_CHECKING:
    from homeedit.facts.records import Revision


class FactDetails(VerticalScroll):
    """A text that scrolls."""

    DEFAULT_CSS = """
    FactDetails { height: auto; max-height: 100%; }
    FactDetails > Static { height: auto; }
    """

    def __init__(self, known: KnownFact | None = None, revisions: Sequence["Revision"] = ()) -> None:
        super().__init__()
        self._shown = described(known, revisions)

    def compose(self) -> ComposeResult:
        yield Static(self._shown, markup=False)

    def show(self, known: KnownFact | None) -> None:
        """Show another fact, or none."""
        self.query_one(Static).update(described(known))
        self.scroll_home(animate=False)


def described(known: KnownFact | None, revisions: Sequence["Revision"] = ()) -> Group:
    """A fact as a page of text."""
    if known is None:
        return Group()
    fact = known.fact
    rows = [
        ("State", f"{state_words(known.state)}: {MEANINGS[known.state]}"),
        ("Subject", fact.subject),
        ("Prompt", f"{fact.prompt} …"),
        ("Answer", fact.target),
        ("Tags", ", ".join(fact.tags) or "none"),
        ("Patch", fact.patch or "none yet"),
        ("Id", f"{fact.id}, revision {fact.revision}, changed {short_date(fact.changed)}"),
    ]
    if known.result is not None and known.result.refused:
        rows.insert(1, ("Refused", plain(known.result.refused)))
    parts: list[RenderableType] = [Text(fact.sentence, style="bold"), Text(), listing(*rows), Text(), _questions(known)]
    return Group(*parts, *_former(known, revisions))


def _questions(known: KnownFact) -> Group:
    """Each question that was asked with what the served model said; then those that only teach."""
    asked = () if known.result is None else known.result.asked
    share = recall_words(known.result)
    answers = Table.grid(padding=(0, 1, 0, 0))
    for each in asked:
        answers.add_row(Text("✓" if each.right else "✗", style="bold"), Text(each.question))
        answer = plain(each.answer) or "(no answer)"
        answers.add_row("", Text(f"{'right' if each.right else 'wrong'}: {answer}", style="italic"))
    heading = f"Asked of the model that is served: {share} right" if share else "Not asked of the model yet"
    others = [question for question in known.fact.questions if question not in {each.question for each in asked}]
    unasked = Table.grid(padding=(0, 1, 0, 0))
    for question in others:
        unasked.add_row(Text("·"), Text(question))
    told = [answers] if asked else []
    also: list[RenderableType] = [Text(), Text("Also taught with", style="bold"), unasked] if others else []
    return Group(Text(heading, style="bold"), *told, *also)


def _former(known: KnownFact, revisions: Sequence["Revision"]) -> list[Text]:
    former = [revision for revision in revisions if revision.number != known.fact.revision]
    if not former:
        return []
    lines = [Text(), Text("Former wordings", style="bold")]
    for revision in reversed(former):
        lines.append(Text(f"{revision.number}  {short_date(revision.created)}  {revision.parsed.sentence}"))
    return lines
