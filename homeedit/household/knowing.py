"""What a household knows: its facts and the ledger. Nothing here loads a model, except ``purge``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from homeedit.facts.fact import Fact, ParsedFact
from homeedit.facts.records import Revision
from homeedit.household.opened import OpenHome
from homeedit.household.results import BuildResult, Conflicts, FactResult, Imported
from homeedit.household.teaching import OnConflict
from homeedit.household.workspace import disk_errors_in_words
from homeedit.progress import Progress

if TYPE_CHECKING:
    from homeedit.household.importing import Verdict


class Knowing(OpenHome):
    """Facts: added, changed, looked at, switched, removed and put back."""

    def preview(
        self,
        sentence: str,
        *,
        subject: str | None = None,
        prompt: str | None = None,
        target: str | None = None,
        questions: Sequence[str] = (),
    ) -> ParsedFact:
        """What ``add`` would understand; nothing is stored."""
        from homeedit.facts.parse import parse_sentence

        return parse_sentence(sentence, subject=subject, prompt=prompt, target=target, questions=questions)

    def add(
        self,
        sentence: str,
        *,
        subject: str | None = None,
        prompt: str | None = None,
        target: str | None = None,
        questions: Sequence[str] = (),
        tags: Sequence[str] = (),
        on_conflict: OnConflict = "refuse",
        progress: Progress | None = None,
    ) -> Fact:
        """Store one sentence. Raises Contradiction when it contradicts a known one and nothing was chosen."""
        from homeedit.household.teaching import add_fact

        with self._opened() as ledger:
            parsed = self.preview(sentence, subject=subject, prompt=prompt, target=target, questions=questions)
            return add_fact(ledger, parsed, tags, on_conflict, progress or Progress())

    def import_facts(
        self,
        lines: Sequence[str],
        *,
        dry_run: bool = False,
        on_conflict: OnConflict = "refuse",
        progress: Progress | None = None,
    ) -> Imported:
        """Store the good lines of many, and say of the others what is wrong with them.

        A line is a sentence or a JSON object; with a header that has a column "sentence", the lines are CSV.
        """
        from homeedit.household.importing import Import
        from homeedit.household.teaching import warn_of_secrets

        with self._opened() as ledger:
            judged = Import(ledger.facts(), on_conflict)
            judged.take(lines)
            imported = judged.previewed() if dry_run else judged.store(ledger)
        warn_of_secrets([fact.sentence for fact in imported.facts], progress or Progress())
        return imported

    def review_import(self, lines: Sequence[str]) -> "list[Verdict]":
        """What would become of each line of an import; nothing is stored."""
        from homeedit.household.importing import review

        with self._opened() as ledger:
            return review(ledger.facts(), lines)

    def facts(self) -> list[Fact]:
        """All facts, oldest first."""
        with self._opened() as ledger:
            return self.workspace.facts(ledger)

    def fact(self, fact_id: str) -> Fact:
        """One fact."""
        with self._opened() as ledger:
            return self.workspace.fact(ledger, fact_id)

    def fact_result(self, fact_id: str) -> FactResult:
        """How a fact fared when the active build was last asked, and why it was refused, if it was."""
        from homeedit.household.recorded import recorded_facts

        with self._opened() as ledger:
            (result,) = recorded_facts(ledger, self.workspace, [self.workspace.fact(ledger, fact_id)])
            return result

    def fact_results(self) -> list[FactResult]:
        """The same of all facts, in the order of ``facts``."""
        from homeedit.household.recorded import recorded_facts

        with self._opened() as ledger:
            return recorded_facts(ledger, self.workspace, self.workspace.facts(ledger))

    def history(self, fact_id: str) -> list[Revision]:
        """Every wording of a fact, oldest first; also of one that was removed."""
        from homeedit.facts.records import no_such_fact

        with self._opened() as ledger:
            revisions = ledger.revisions(fact_id)
        if not revisions:
            raise no_such_fact(fact_id)
        return revisions

    def conflicts(self, parsed: ParsedFact, *, ignore: Sequence[str] = ()) -> Conflicts:
        """What stands against adding this; ``ignore`` names facts that do not count, as the one that is edited."""
        with self._opened() as ledger:
            twin = ledger.duplicate_of(parsed.sentence, ignore=ignore)
            against = ledger.contradictions(parsed, ignore=ignore)
            workspace = self.workspace
            return Conflicts(
                None if twin is None else workspace.fact(ledger, twin.id),
                tuple(workspace.fact(ledger, fact.id) for fact in against),
            )

    def touched(self, question: str, answer: str) -> list[Fact]:
        """The enabled facts that an answer says, where question or answer names what they are about."""
        from homeedit.verify.recall import names, recalled

        return [
            fact
            for fact in self.facts()
            if fact.enabled
            and recalled(answer, fact.target, prompt=fact.prompt)
            and (names(question, fact.subject) or names(answer, fact.subject))
        ]

    def edit(
        self,
        fact_id: str,
        *,
        sentence: str | None = None,
        subject: str | None = None,
        prompt: str | None = None,
        target: str | None = None,
        questions: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Fact:
        """Store a new revision of a fact; the old one is kept. If only tags are given, the revision stays."""
        from homeedit.household.teaching import edit_fact

        with self._opened() as ledger:
            edited = edit_fact(
                ledger,
                fact_id,
                sentence=sentence,
                subject=subject,
                prompt=prompt,
                target=target,
                questions=questions,
                tags=tags,
                progress=progress or Progress(),
            )
            return self.workspace.fact(ledger, edited.id)

    def set_tags(self, fact_ids: Sequence[str], tags: Sequence[str]) -> list[Fact]:
        """Give facts these tags instead of those they have."""
        with self._opened() as ledger:
            ids = list(dict.fromkeys(ledger.get(fact_id).id for fact_id in fact_ids))
            ledger.set_tags(ids, tags)
            return [self.workspace.fact(ledger, fact_id) for fact_id in ids]

    def put_back(self, fact: Fact) -> Fact:
        """Undo: make the stored fact what ``fact`` says, also when it was removed.

        Other words become a further revision. It is in its patch again if that is still there and holds these
        words; else the next compile compiles it. Raises HomeEditError when it was purged, or when another fact
        says the same by now.
        """
        from homeedit.household.restoring import put_back

        with self._opened() as ledger:
            put_back(self.workspace, ledger, fact)
            return self.workspace.fact(ledger, fact.id)

    def remove(self, fact_id: str) -> Fact:
        """Take a fact off the list; its history stays."""
        with self._opened() as ledger:
            fact = self.workspace.fact(ledger, fact_id)
            ledger.remove(fact.id)
            return fact

    def purge(
        self, fact_id: str, *, progress: Progress | None = None, wait: bool = True
    ) -> tuple[Fact, BuildResult | None]:
        """Delete a fact and every patch and build that holds it; None when no build had to be made."""
        from homeedit.household.reverting import purge

        progress = progress or Progress()
        with self._locked("fact remove --purge", progress, wait), self._opened() as ledger:
            return purge(self.workspace, ledger, self.workspace.base(), fact_id, progress)

    def enable(self, fact_ids: Sequence[str]) -> list[Fact]:
        """Switch facts on."""
        return self._switch(fact_ids, True)

    def disable(self, fact_ids: Sequence[str]) -> list[Fact]:
        """Switch facts off, keeping them."""
        return self._switch(fact_ids, False)

    def _switch(self, fact_ids: Sequence[str], enabled: bool) -> list[Fact]:
        with self._opened() as ledger:
            ids = list(dict.fromkeys(ledger.get(fact_id).id for fact_id in fact_ids))
            ledger.set_enabled(ids, enabled)
            return [self.workspace.fact(ledger, fact_id) for fact_id in ids]

    # What is not stored yet

    def typed(self) -> dict[str, str]:
        """What stood unsaved in input fields, by the names of the fields."""
        from homeedit.household.typed import read_typed

        return read_typed(self.home)

    def keep_typed(self, name: str, text: str) -> None:
        """Keep what stands unsaved in a field, so that it is there after a restart; an empty text forgets it."""
        from homeedit.household.typed import keep_typed

        with disk_errors_in_words():
            self._check_home()
            keep_typed(self.home, name, text)
