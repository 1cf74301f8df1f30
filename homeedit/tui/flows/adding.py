"""Adding a sentence: what is known already and what contradicts is asked about first."""

from textual import on

from homeedit.errors import HomeEditError
from homeedit.facts.fact import Fact
from homeedit.household import OnConflict
from homeedit.tui.dialogs.confirm import Choice
from homeedit.tui.flows.listed import Listed
from homeedit.tui.said import Said
from homeedit.tui.understanding import Typed, Understood, understand
from homeedit.tui.widgets.add_line import AddLine
from homeedit.tui.widgets.fact_words import quoted
from homeedit.tui.words import shortened


class Adding(Listed):
    """The way of one sentence into the ledger."""

    @on(AddLine.Wanted)
    def _want(self, event: AddLine.Wanted) -> None:
        """Look once more, as the list may have changed since the preview."""
        event.stop()
        household, typed = self.face.household, event.typed
        self.face.perform(lambda: understand(household, typed), self._decide)

    def _decide(self, understood: Understood) -> None:
        if understood.error is not None:
            self.face.say(understood.error.message, understood.error.hint, severity="warning")
            self.add_line.look()
        elif understood.duplicate is not None:
            known = understood.duplicate
            self.show_fact(known.id)
            key = self.key("facts.edit" if known.enabled else "facts.switch")
            hint = f"{key} changes it." if known.enabled else f"It is switched off: {key} in the list switches it on."
            self.face.say(f"Known already: {quoted(known)}.", hint, severity="warning")
        elif understood.contradicted:
            self._ask(understood)
        else:
            self._add(understood.typed, "refuse")

    def _ask(self, understood: Understood) -> None:
        """Replace, keep both, or cancel."""
        known = understood.contradicted
        choices = [("replace", "Replace")] if len(known) == 1 else []
        listed = "\n".join(f"{fact.id}  {shortened(fact.sentence, 300)}" for fact in known)
        detail = f"New:  {shortened(understood.typed.sentence, 300)}\n\nKnown:\n{listed}"
        if len(known) > 1:
            detail += "\n\nTo replace one of them, edit it in the list."

        def chosen(answer: str | None) -> None:
            if answer == "replace":
                self._add(understood.typed, "replace", known)
            elif answer == "keep":
                self._add(understood.typed, "keep")
            else:
                self.add_line.input.focus()

        question = "This says otherwise than a fact that is known."
        self.app.push_screen(Choice(question, detail, [*choices, ("keep", "Keep both")]), chosen)

    def _add(self, typed: Typed, on_conflict: OnConflict, known: tuple[Fact, ...] = ()) -> None:
        household, said = self.face.household, Said()

        def add() -> Fact:
            return household.add(
                typed.sentence,
                subject=typed.subject,
                prompt=typed.prompt,
                target=typed.target,
                questions=typed.questions,
                on_conflict=on_conflict,
                progress=said,
            )

        def done(fact: Fact) -> None:
            before = [old for old in known if old.id == fact.id]
            added = [] if before else [fact.id]
            self.undo_stack.push(f"{'replaced' if before else 'added'} {quoted(fact)}", before=before, added=added)
            if self.add_line.typed == typed:  # else the next sentence is being typed already
                self.add_line.clear()
            self.tell(
                said,
                f"{'Replaced' if before else 'Added'} {fact.id}.",
                f"{self.key('facts.compile')} teaches it to the model.",
            )
            self.go_to_when_loaded = fact.id
            self.face.changed()

        def failed(error: HomeEditError) -> None:
            self.face.show_error(error)
            self.add_line.look()

        self.face.perform(add, done, failed)
