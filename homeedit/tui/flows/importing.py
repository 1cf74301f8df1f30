"""Many sentences: typed or read, reviewed, stored, in this order."""

from typing import Any

from textual import on

from homeedit.errors import HomeEditError
from homeedit.tui.flows.listed import Listed
from homeedit.tui.importing import ReviewedLine, Stored, judge, store
from homeedit.tui.said import Said
from homeedit.tui.widgets.add_line import SentenceInput


class Importing(Listed):
    """From a pasted text or a file to facts."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._import_draft = ""
        """The text to import that is not stored yet."""

    def action_import(self) -> None:
        """Paste many sentences, or name a file."""
        from homeedit.tui.dialogs.import_text import ImportText

        def given(lines: list[str] | None) -> None:
            if lines is not None:
                self._review(lines)

        def show(drafts: dict[str, str]) -> None:
            self.app.push_screen(ImportText(drafts.get("import", self._import_draft)), given)

        self.face.perform(self.face.household.typed, show)

    @on(SentenceInput.ManyPasted)
    def _review_pasted(self, event: SentenceInput.ManyPasted) -> None:
        event.stop()
        self.review_text(event.text)

    def review_text(self, text: str) -> None:
        """Review a pasted text; until it is stored it stays kept as what is to be imported."""
        household, self._import_draft = self.face.household, text
        self.face.perform(lambda: household.keep_typed("import", text), failed=lambda _: None)
        self._review(text.splitlines())

    def _review(self, lines: list[str]) -> None:
        household = self.face.household

        def show(reviewed: list[ReviewedLine]) -> None:
            from homeedit.tui.dialogs.import_review import ImportReview

            def answered(wanted: bool | None) -> None:
                if wanted:
                    self._store(reviewed)
                else:
                    self.action_import()

            self.app.push_screen(ImportReview(reviewed), answered)

        self.face.perform(lambda: judge(household, lines), show, self._refused)

    def _refused(self, error: HomeEditError) -> None:
        self.face.show_error(error)
        self.action_import()

    def _store(self, reviewed: list[ReviewedLine]) -> None:
        household, said = self.face.household, Said()

        def work() -> Stored:
            stored = store(household, reviewed, said)
            household.keep_typed("import", "")
            return stored

        self.face.perform(work, lambda stored: self._stored(stored, said))

    def _stored(self, stored: Stored, said: Said) -> None:
        self._import_draft = ""
        count = len(stored.added) + len(stored.before)
        added = [fact.id for fact in stored.added]
        if count:
            self.undo_stack.push(f"imported {count} facts", before=stored.before, added=added)
        if added:
            self.go_to_when_loaded = added[-1]
        hint = f"{self.key('facts.compile')} teaches the model. {self.key('facts.undo')} takes it back."
        self.tell(said, f"Stored {count} {'fact' if count == 1 else 'facts'}.", hint)
        for problem in stored.problems[:3]:
            self.face.say(f"Not stored: {problem.text}", problem.message, severity="warning")
        self.face.changed()
