"""Changing facts that are in the list: words, tags, switch, deletion, undo."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.widgets import DataTable

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.tui.dialogs.confirm import Choice
from homeedit.tui.flows.listed import Listed
from homeedit.tui.said import Said
from homeedit.tui.undo import Step, take_back
from homeedit.tui.widgets.fact_filter import KnownFact
from homeedit.tui.widgets.fact_words import quoted
from homeedit.tui.words import shortened

if TYPE_CHECKING:
    from homeedit.facts.records import Revision

_PURGE = "Delete everywhere"


class Changing(Listed):
    """Everything that a key does to the fact under the cursor."""

    _failed_step: Step | None = None
    """The change that could not be taken back when that was tried last."""

    def _chosen(self) -> KnownFact | None:
        """The fact that a key is about; says so when there is none."""
        if self.current is None:
            self.face.say("No fact is chosen.", f"{self.key('facts.add')} adds one.")
        return self.current

    def _change(
        self, title: str, fact: Fact, work: Callable[[Said], object], line: str, *, model_too: bool = True
    ) -> None:
        """Do something to a fact so that it can be taken back; ``model_too``: a compile has to follow."""
        said = Said()

        def done(_: object) -> None:
            self.undo_stack.push(f"{title} {quoted(fact)}", before=[fact])
            hint = f"{self.key('facts.compile')} brings the model along. " if model_too else ""
            self.tell(said, line, f"{hint}{self.key('facts.undo')} takes it back.")
            self.face.changed()

        self.face.perform(lambda: work(said), done)

    # Looking

    @on(DataTable.RowSelected)
    def action_details(self) -> None:
        """All of the fact."""
        if (known := self._chosen()) is None:
            return
        household, fact_id = self.face.household, known.fact.id

        def show(revisions: "list[Revision]") -> None:
            from homeedit.tui.dialogs.fact_details import FactDetailsDialog

            def closed(answer: str | None) -> None:
                if answer == "edit":
                    self._edit(known.fact)

            self.app.push_screen(FactDetailsDialog(known, revisions), closed)

        self.face.perform(lambda: household.history(fact_id), show)

    def action_copy(self) -> None:
        """Copy the sentence."""
        if (known := self._chosen()) is not None:
            self.face.copy(known.fact.sentence)

    # Changing

    def action_edit(self) -> None:
        """Change the words."""
        if (known := self._chosen()) is not None:
            self._edit(known.fact)

    def _edit(self, fact: Fact) -> None:
        from homeedit.tui.dialogs.edit_fact import EditFact

        self.app.push_screen(EditFact(fact))

    def action_switch(self) -> None:
        """Switch the fact on or off; the next compile applies it."""
        if (known := self._chosen()) is None:
            return
        fact, household = known.fact, self.face.household
        switch, word = (household.disable, "off") if fact.enabled else (household.enable, "on")
        self._change(f"switched {word}", fact, lambda _: switch([fact.id]), f"Switched {word} {fact.id}.")

    def action_tags(self) -> None:
        """Give the fact tags."""
        from homeedit.tui.dialogs.tags import TagsDialog

        if (known := self._chosen()) is None:
            return
        fact, household = known.fact, self.face.household

        def given(tags: tuple[str, ...] | None) -> None:
            if tags is not None and set(tags) != set(fact.tags):
                self._change(
                    "tagged", fact, lambda _: household.set_tags([fact.id], tags), f"Tagged {fact.id}.", model_too=False
                )

        self.app.push_screen(TagsDialog(fact, list(self.tags())), given)

    # Deleting

    def action_delete(self) -> None:
        """Off the list, or out of everything."""
        if (known := self._chosen()) is None:
            return
        fact, household = known.fact, self.face.household

        def chosen(answer: str | None) -> None:
            if answer == "remove":
                self._change("deleted", fact, lambda _: household.remove(fact.id), f"Took {fact.id} off the list.")
            elif answer == "purge":
                self.face.start_work(_PURGE, "purge", fact.id)

        undo = self.key("facts.undo")
        detail = (
            f"{shortened(fact.sentence, 300)}\n\n"
            f"Take off the list: the next compile takes it out of the model; {undo} takes this back.\n"
            "Delete everywhere: its words and every patch and build of this home that holds it go now. This cannot "
            "be taken back; other facts in the same patch are compiled again."
        )
        choices = [("remove", "Take off the list"), ("purge", "Delete everywhere (purge)")]
        self.app.push_screen(Choice(f"Delete {fact.id}?", detail, choices, dangerous="purge"), chosen)

    def work_ended(self) -> None:
        """After a purge: the proof that the model no longer knows it."""
        work = self.face.work
        if work is None or work.method != "purge" or work.error is not None or work.result is None:
            return
        from homeedit.tui.dialogs.purged import PurgedDialog

        fact, result = work.result
        self.undo_stack.forget(fact.id)
        self.app.push_screen(PurgedDialog(fact, result))

    # Taking back

    def action_undo(self) -> None:
        """Take the latest change back."""
        step = self.undo_stack.pop()
        if step is None:
            self.face.say("There is nothing to take back.", "The changes made since the app was started can be.")
            return
        household, latest = self.face.household, step

        def failed(error: HomeEditError) -> None:
            self._not_undone(latest, error)

        self.face.perform(lambda: take_back(household, latest), lambda _: self._undone(latest), failed)

    def _undone(self, step: Step) -> None:
        left = len(self.undo_stack)
        self.go_to_when_loaded = step.before[0].id if step.before else ""
        self.face.say(
            f"Taken back: {step.title}.",
            f"{left} more can be taken back with {self.key('facts.undo')}." if left else "",
        )
        self.face.changed()

    def _not_undone(self, step: Step, error: HomeEditError) -> None:
        """A step is kept for another try; if that fails too, it no longer stands before the earlier ones."""
        hint = error.hint
        if step is self._failed_step:
            hint = f"{hint} {self.key('facts.undo')} goes on with the change before it.".strip()
        else:
            self._failed_step = step
            self.undo_stack.push_step(step)
        self.face.say(f"This cannot be taken back: {error.message}", hint, severity="warning")
        self.face.changed()
