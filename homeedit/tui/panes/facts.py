"""Facts: the list, the line above it in which one adds, and everything one does with a fact."""

from dataclasses import replace
from typing import Any

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import DataTable

from homeedit.errors import HomeEditError
from homeedit.tui.actions import bindings_of
from homeedit.tui.flows.adding import Adding
from homeedit.tui.flows.changing import Changing
from homeedit.tui.flows.importing import Importing
from homeedit.tui.widgets.add_line import AddLine, SentenceInput
from homeedit.tui.widgets.fact_details import FactDetails
from homeedit.tui.widgets.fact_filter import ORDERS, FactFilter, KnownFact, known_fact, ordered
from homeedit.tui.widgets.fact_words import STATES
from homeedit.tui.widgets.facts_table import FactsTable
from homeedit.tui.widgets.filter_bar import FilterBar, SearchInput
from homeedit.tui.widgets.first_facts import EXAMPLES, FirstFacts, NoHome

_ROOM_FOR_DETAILS = 150


class FactsPane(Adding, Changing, Importing):
    """The home screen."""

    BINDINGS = [*bindings_of("facts")]
    DEFAULT_CSS = """
    FactsPane {
        & > #listed { height: 1fr; }
        & FactDetails { display: none; width: 60; height: 100%; padding: 0 0 0 2; border-left: tall $panel; }
        &.-wide FactDetails { display: block; }
        &.-empty > #listed, &.-unreadable > #listed { display: none; }
        & > FirstFacts, & > NoHome { display: none; }
        &.-empty > FirstFacts, &.-unreadable > NoHome { display: block; }
        &.-unreadable > FilterBar, &.-empty > FilterBar { display: none; }
    }
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._known: list[KnownFact] = []
        self._filter = FactFilter()
        self._order = ("", False)
        self._loading = self._load_again = False
        self._loaded = False

    def compose(self) -> ComposeResult:
        yield AddLine(self.key("facts.unfold"))
        yield FilterBar()
        with Horizontal(id="listed"):
            yield FactsTable()
            yield FactDetails()
        yield FirstFacts(self.key("facts.compile"), self.key("facts.import"), self.key("app.show-ask"))
        yield NoHome()

    # What is shown

    @property
    def table(self) -> FactsTable:
        """The list."""
        return self.query_one(FactsTable)

    @property
    def add_line(self) -> AddLine:
        """The line above it."""
        return self.query_one(AddLine)

    @property
    def current(self) -> KnownFact | None:
        """The fact that the keys are about; None when none is shown."""
        return self.table.current if not self.has_class("-empty") and not self.has_class("-unreadable") else None

    @property
    def known(self) -> list[KnownFact]:
        """All facts, oldest first."""
        return self._known

    def refresh_data(self) -> None:
        """Load the facts again; calls that come meanwhile are answered by one more load."""
        if self._loading:
            self._load_again = True
            return
        self._loading = True
        self.face.perform(self._load, self._take, self._fail)

    def _load(self) -> tuple[list[KnownFact], dict[str, str]]:
        household = self.face.household
        facts, results = household.facts(), {result.id: result for result in household.fact_results()}
        drafts = {} if self._loaded else household.typed()
        return [known_fact(fact, results.get(fact.id)) for fact in facts], drafts

    def _take(self, loaded: tuple[list[KnownFact], dict[str, str]]) -> None:
        self._known, drafts = loaded
        self.set_class(not self._known, "-empty")
        self.remove_class("-unreadable")
        self._show(self.go_to_when_loaded)
        self.go_to_when_loaded = ""
        if not self._loaded:
            self._loaded = True
            self.add_line.restore(drafts)
            self._keep_focus()
        self._end_load()

    def _fail(self, error: HomeEditError) -> None:
        exists = self.face.household.home.exists
        self.remove_class("-empty")
        self.add_class("-unreadable")
        if exists:
            line, hint = error.message, f"{error.hint} What you typed is kept in its files.".strip()
        else:
            line = f"{self.face.household.home.root} is not set up yet."
            hint = "Setting it up brings the base model (about 450 MB on disk) and takes a few minutes."
        self.query_one(NoHome).say(line, hint, can_set_up=not exists)
        self._keep_focus()
        self._end_load()

    def _end_load(self) -> None:
        self._loading = False
        if self._load_again:
            self._load_again = False
            self.refresh_data()

    def _show(self, go_to: str = "") -> None:
        """Filter and order what is known, in memory."""
        shown = self._filter.chosen(self._known)
        self.table.show(ordered(shown, *self._order), self._order, go_to=go_to)
        waiting = sum(known.state in ("draft", "compiled") for known in self._known)
        self.query_one(FilterBar).show(len(shown), len(self._known), waiting, self._filter, self.key)
        self._show_details()

    def show_fact(self, fact_id: str) -> None:
        """Move the cursor to a fact, through filters that hide it."""
        if fact_id not in {known.fact.id for known in self.table.facts}:
            self._clear_filters()
        self._show(go_to=fact_id)

    @on(DataTable.RowHighlighted)
    def _show_details(self) -> None:
        if self.has_class("-wide"):
            self.query_one(FactDetails).show(self.current)

    def on_resize(self, event: events.Resize) -> None:
        """With room beside the list, all of the fact under the cursor is shown there."""
        self.set_class(event.size.width >= _ROOM_FOR_DETAILS, "-wide")
        self._show_details()

    # Focus

    def focus_first(self) -> None:
        """The list, or what stands in its place."""
        if self.has_class("-unreadable"):
            next(button for button in self.query("NoHome Button") if button.display).focus()
        elif self.has_class("-empty"):
            self.query("FirstFacts Button").first().focus()
        else:
            self.table.focus()

    def _keep_focus(self) -> None:
        """Once it is known what is shown, the focus must not be on something hidden."""
        if self.screen.focused is None or not isinstance(self.screen.focused, SentenceInput | SearchInput):
            self.focus_first()

    def action_add(self) -> None:
        """To the line in which one adds."""
        self.add_line.input.focus()

    def action_unfold(self) -> None:
        """Spell out what the sentence means."""
        self.add_line.action_unfold()

    @on(AddLine.Left)
    @on(FilterBar.Left)
    def _go_to_list(self) -> None:
        self.focus_first()

    def on_paste(self, event: events.Paste) -> None:
        """What is pasted beside an input is meant for the line (or, if it is much, for the import)."""
        event.stop()
        lines = [line for line in event.text.splitlines() if line.strip()]
        if len(lines) > 1:
            self.review_text(event.text)
        elif lines:
            self.add_line.put(lines[0])
            self.action_add()

    # Search, filters, order

    def action_search(self) -> None:
        """To the search line."""
        self.query_one(FilterBar).open()

    @on(FilterBar.Searched)
    def _search(self) -> None:
        self._filter = replace(self._filter, text=self.query_one(FilterBar).text)
        self._show()

    def action_filter_state(self) -> None:
        """Only facts of the next state that occurs; after the last, all."""
        present = ["", *(state for state in STATES if any(known.state == state for known in self._known))]
        at = present.index(self._filter.state) if self._filter.state in present else 0
        self._filter = replace(self._filter, state=present[(at + 1) % len(present)])
        self._show()

    def action_filter_tag(self) -> None:
        """Only facts with the tag that is picked."""
        from homeedit.tui.dialogs.pick import Pick

        tags = self.tags()
        if not tags:
            self.face.say("No fact has a tag yet.", f"{self.key('facts.tags')} gives the fact under the cursor some.")
            return

        def picked(tag: str | None) -> None:
            if tag is not None:
                self._filter = replace(self._filter, tag=tag)
                self._show()

        lines = [("", f"all {len(self._known)} facts"), *((tag, f"{tag}  {count}") for tag, count in tags.items())]
        self.app.push_screen(Pick("Show the facts with the tag", lines, self._filter.tag), picked)

    def tags(self) -> dict[str, int]:
        """Every tag and how many facts have it."""
        counts: dict[str, int] = {}
        for known in self._known:
            for tag in known.fact.tags:
                counts[tag] = counts.get(tag, 0) + 1
        return dict(sorted(counts.items()))

    def action_clear(self) -> None:
        """Out of an input back to the list; in the list, take search and filters away."""
        focused = self.screen.focused
        in_line = focused is not None and self.add_line in focused.ancestors_with_self
        if not in_line:
            self._clear_filters()
            self._show()
        self.focus_first()

    def _clear_filters(self) -> None:
        self.query_one(FilterBar).close()
        self._filter = FactFilter()

    def action_sort(self) -> None:
        """Order by the next column; after the last, the newest first again."""
        columns = ["", *ORDERS]
        following = columns[(columns.index(self._order[0]) + 1) % len(columns)]
        self._sort(following, False)
        self.face.say(f"Ordered by {following}." if following else "The newest first.")

    @on(DataTable.HeaderSelected)
    def _sort_by_header(self, event: DataTable.HeaderSelected) -> None:
        column = str(event.column_key.value)
        by, reverse = self._order
        self._sort(column, not reverse if column == by else False)

    def _sort(self, column: str, reverse: bool) -> None:
        self._order = (column, reverse)
        self._show()

    # An empty list, no home

    @on(FirstFacts.Chosen)
    def _begin_with(self, event: FirstFacts.Chosen) -> None:
        self.add_line.put(event.sentence)
        self.action_add()

    def action_example_first(self) -> None:
        """Begin with the first example."""
        self._example(0)

    def action_example_second(self) -> None:
        """Begin with the second example."""
        self._example(1)

    def action_example_third(self) -> None:
        """Begin with the third example."""
        self._example(2)

    def _example(self, number: int) -> None:
        if self.has_class("-empty"):
            self.add_line.put(EXAMPLES[number])
            self.action_add()

    @on(NoHome.Wanted)
    def _set_up(self, event: NoHome.Wanted) -> None:
        if event.what == "set-up":
            self.face.start_work("Set up", "init")
        else:
            self.face.changed()

    # Long work

    def action_compile(self) -> None:
        """Teach the model what is new, and watch it in the pane for that."""
        if not self._known and not self.has_class("-unreadable"):
            self.face.say("There is nothing to compile yet.", f"{self.key('facts.add')} adds a sentence.")
            return
        self.face.action_show("compile")
        self.face.start_work("Compile", "compile")
