"""Many sentences: typed or read, reviewed, stored, in this order."""

from dataclasses import replace

from textual import on

from homeedit.errors import HomeEditError
from homeedit.tui.drafts import keep
from homeedit.tui.flows.listed import Listed
from homeedit.tui.importing import Given, ReviewedLine, Stored, judge, left_over, lines_of, store
from homeedit.tui.said import Said
from homeedit.tui.widgets.add_line import SentenceInput

_DRAFT = "import"


class Importing(Listed):
    """From a pasted text or a file to facts."""

    def action_import(self) -> None:
        """Paste many sentences, or name a file."""
        from homeedit.tui.dialogs.import_text import ImportText

        def given(lines: Given | None) -> None:
            if lines is not None:
                self._review(lines)

        def show(drafts: dict[str, str]) -> None:
            self.app.push_screen(ImportText(drafts.get(_DRAFT, "")), given)

        self.face.perform(self.face.drafts.kept, show)

    @on(SentenceInput.ManyPasted)
    def _review_pasted(self, event: SentenceInput.ManyPasted) -> None:
        event.stop()
        self.review_text(event.text)

    def review_text(self, text: str) -> None:
        """Review a pasted text; until it is stored it stays kept, below what was kept to be imported before."""
        lines = lines_of(text)

        def review(drafts: dict[str, str]) -> None:
            given = Given(lines, _above(drafts.get(_DRAFT, ""), lines))
            keep(self.face, _DRAFT, given.text)
            self._review(given)

        self.face.perform(self.face.drafts.kept, review)

    def _review(self, given: Given) -> None:
        household = self.face.household

        def show(reviewed: list[ReviewedLine]) -> None:
            from homeedit.tui.dialogs.import_review import ImportReview

            def answered(wanted: bool | None) -> None:
                if wanted:
                    self._store(given, reviewed)
                else:
                    self.action_import()

            self.app.push_screen(ImportReview(reviewed), answered)

        self.face.perform(lambda: judge(household, given.lines), show, self._refused)

    def _refused(self, error: HomeEditError) -> None:
        self.face.show_error(error)
        self.action_import()

    def _store(self, given: Given, reviewed: list[ReviewedLine]) -> None:
        household, said = self.face.household, Said()

        def done(stored: Stored) -> None:
            left = left_over(given.lines, reviewed, stored.lines)
            if not given.of_file:
                keep(self.face, _DRAFT, replace(given, lines=left).text)
            self._stored(stored, said)
            if left and not given.of_file:
                self.face.say("What was not stored is kept.", f"{self.key('facts.import')} shows it again.")

        self.face.perform(lambda: store(household, reviewed, said), done)

    def _stored(self, stored: Stored, said: Said) -> None:
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


def _above(draft: str, lines: list[str]) -> str:
    """What was kept before; the same text pasted once more is not kept twice."""
    text = "\n".join(lines)
    return draft[: -len(text)] if f"\n{draft}".endswith(f"\n{text}") else draft
