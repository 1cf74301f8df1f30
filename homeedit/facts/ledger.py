"""The ledger: every fact the household typed, each of its revisions, and what the builds answered."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from homeedit.facts.database import create_database, open_database, translated
from homeedit.facts.fact import Fact, ParsedFact
from homeedit.facts.records import (
    BuildRecord,
    Result,
    Revision,
    fact_of,
    no_such_fact,
    parse_fact_id,
    parsed_of,
    plain_sentence,
    same_matter,
    spelled,
    timestamp,
    written,
)
from homeedit.facts.rows import insert_fact, insert_revision, put_back
from homeedit.facts.tags import clean_tags

_SELECT = """SELECT f.id, f.revision, f.sentence, f.subject, f.prompt, f.target, f.questions, f.relation,
    f.enabled, f.patch, f.refused, f.created, f.changed, f.tags, r.right AS recalled FROM facts f
    LEFT JOIN results r ON r.fact_id = f.id AND r.revision = f.revision AND r.position = 0
        AND r.base = :base AND r.build = :active
    WHERE f.removed = 0"""


class Ledger:
    """The SQLite file ``edits/ledger.db``; a context manager.

    Other processes may read and write at the same time (write-ahead log); every change is one
    transaction on disk before the call returns. With ``create`` a missing file is made; otherwise a
    missing, truncated, foreign or newer file raises ``HomeEditError`` and is left untouched.
    Reading methods take the base's name and the number of its active build, from which states derive.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        if create:
            create_database(path)
        self._connection = open_database(path)
        self._lock = threading.RLock()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._lock, translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _rows(self, query: str, values: Mapping[str, Any] | Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock, translated(self.path):
            return self._connection.execute(query, values).fetchall()

    # Facts

    def add(self, parsed: ParsedFact, tags: Iterable[str] = ()) -> Fact:
        """Store a new fact, enabled, as a draft; asking about duplicates first is the caller's part."""
        with self._change() as connection:
            return insert_fact(connection, parsed, clean_tags(tags))

    def add_all(self, facts: Iterable[ParsedFact]) -> list[Fact]:
        """Store several facts in one transaction: all of them or none."""
        return self.add_tagged((parsed, ()) for parsed in facts)

    def add_tagged(self, facts: Iterable[tuple[ParsedFact, Iterable[str]]]) -> list[Fact]:
        """Store several facts with their tags in one transaction: all of them or none."""
        with self._change() as connection:
            return [insert_fact(connection, parsed, clean_tags(tags)) for parsed, tags in facts]

    def edit(self, fact_id: str, parsed: ParsedFact, tags: Iterable[str] | None = None) -> Fact:
        """Store a new revision of a fact; it is a draft again, its old wording stays in ``revisions``.

        Without ``tags`` it keeps those that it has.
        """
        number, wanted = parse_fact_id(fact_id), None if tags is None else clean_tags(tags)
        with self._change() as connection:
            row = connection.execute("SELECT * FROM facts WHERE id = ? AND removed = 0", (number,)).fetchone()
            if row is None:
                raise no_such_fact(fact_id)
            now = timestamp()
            revision = row["revision"] + 1
            connection.execute(
                "UPDATE facts SET revision = ?, sentence = ?, plain = ?, subject = ?, prompt = ?, target = ?,"
                " questions = ?, relation = ?, patch = NULL, refused = NULL, changed = ?, tags = ? WHERE id = ?",
                (
                    revision,
                    parsed.sentence,
                    plain_sentence(parsed.sentence),
                    *written(parsed)[1:],
                    now,
                    row["tags"] if wanted is None else json.dumps(wanted),
                    number,
                ),
            )
            insert_revision(connection, number, revision, parsed, now)
            return Fact(
                id=f"f{number}",
                enabled=bool(row["enabled"]),
                state="draft",
                patch=None,
                revision=revision,
                created=row["created"],
                changed=now,
                tags=tuple(json.loads(row["tags"])) if wanted is None else wanted,
                **spelled(parsed),
            )

    def get(self, fact_id: str, *, base: str = "", active: int | None = None) -> Fact:
        """One fact; raises ``HomeEditError`` (exit code 2) when there is none of that id."""
        number = parse_fact_id(fact_id)
        rows = self._rows(f"{_SELECT} AND f.id = :id", {"base": base, "active": active, "id": number})
        if not rows:
            raise no_such_fact(fact_id)
        return fact_of(rows[0])

    def facts(self, *, base: str = "", active: int | None = None, enabled_only: bool = False) -> list[Fact]:
        """All facts that were not removed, oldest first: one query."""
        enabled = " AND f.enabled = 1" if enabled_only else ""
        rows = self._rows(f"{_SELECT}{enabled} ORDER BY f.id", {"base": base, "active": active})
        return [fact_of(row) for row in rows]

    def revisions(self, fact_id: str) -> list[Revision]:
        """Every wording of a fact, oldest first."""
        rows = self._rows("SELECT * FROM revisions WHERE fact_id = ? ORDER BY revision", (parse_fact_id(fact_id),))
        return [Revision(row["revision"], parsed_of(row), row["created"]) for row in rows]

    def refusals(self) -> dict[str, str]:
        """For each fact whose last compile failed: why."""
        rows = self._rows("SELECT id, refused FROM facts WHERE refused IS NOT NULL AND removed = 0 ORDER BY id")
        return {f"f{row['id']}": row["refused"] for row in rows}

    def set_enabled(self, fact_ids: Iterable[str], enabled: bool) -> None:
        """Switch facts on or off, all of them or none."""
        with self._change() as connection:
            for fact_id in fact_ids:
                self._update(connection, fact_id, "enabled = ?, changed = ?", (int(enabled), timestamp()))

    def set_tags(self, fact_ids: Iterable[str], tags: Iterable[str]) -> None:
        """Give facts these tags instead of those they have, all of them or none; no new revision."""
        text = json.dumps(clean_tags(tags))
        with self._change() as connection:
            for fact_id in fact_ids:
                self._update(connection, fact_id, "tags = ?, changed = ?", (text, timestamp()))

    def put_back(self, fact: Fact, patch: str | None) -> None:
        """Make the stored fact what ``fact`` says, also when it was removed; raises HomeEditError after a purge.

        Other words become a further revision; what builds answered to ``fact.revision``, if it has these very
        words, counts for it. ``patch`` is the one that holds these words, if any.
        """
        with self._change() as connection:
            put_back(connection, fact, patch)

    def remove(self, fact_id: str, *, purge: bool = False) -> None:
        """Take a fact off the list; its history stays, unless ``purge`` overwrites every trace of it here."""
        number = parse_fact_id(fact_id)
        with self._change() as connection:
            if not purge:
                self._update(connection, fact_id, "removed = 1, enabled = 0, patch = NULL, changed = ?", (timestamp(),))
                return
            # Also a fact that was removed before can be purged.
            if connection.execute("DELETE FROM facts WHERE id = ?", (number,)).rowcount == 0:
                raise no_such_fact(fact_id)
        with self._lock, translated(self.path):
            # The sentence would otherwise stay readable in the write-ahead log.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def assign_patch(
        self, fact_ids: Iterable[str], patch_id: str | None, *, revisions: Mapping[str, int] | None = None
    ) -> list[str]:
        """Say which patch holds these facts (None: none); returns the ids it was said of.

        With ``revisions`` (id → revision that was compiled) a fact that was edited or removed meanwhile
        is left out, so that a patch never counts for words it does not hold.
        """
        assigned = []
        with self._change() as connection:
            for fact_id in fact_ids:
                number = parse_fact_id(fact_id)
                wanted = None if revisions is None else revisions.get(f"f{number}")
                done = connection.execute(
                    "UPDATE facts SET patch = ?, refused = NULL WHERE id = ? AND removed = 0"
                    " AND (? IS NULL OR revision = ?)",
                    (patch_id, number, wanted, wanted),
                ).rowcount
                if done:
                    assigned.append(f"f{number}")
        return assigned

    def refuse(self, fact_ids: Iterable[str], why: str) -> None:
        """Note that compiling these facts failed, and why; cleared by the next patch or edit."""
        with self._change() as connection:
            # A fact that was removed while it was compiled needs no reason any more.
            connection.executemany(
                "UPDATE facts SET refused = ? WHERE id = ? AND removed = 0",
                [(why, parse_fact_id(fact_id)) for fact_id in fact_ids],
            )

    @staticmethod
    def _update(connection: sqlite3.Connection, fact_id: str, assignment: str, values: tuple[object, ...]) -> None:
        query = f"UPDATE facts SET {assignment} WHERE id = ? AND removed = 0"
        if connection.execute(query, (*values, parse_fact_id(fact_id))).rowcount == 0:
            raise no_such_fact(fact_id)

    def duplicate_of(self, sentence: str, *, ignore: Iterable[str] = ()) -> Fact | None:
        """The fact that says the same sentence, whatever its case, spaces and full stop."""
        ignored = {parse_fact_id(fact_id) for fact_id in ignore}
        rows = self._rows(
            f"{_SELECT} AND f.plain = :plain ORDER BY f.id",
            {"base": "", "active": None, "plain": plain_sentence(sentence)},
        )
        return next((fact_of(row) for row in rows if row["id"] not in ignored), None)

    def contradictions(self, parsed: ParsedFact, *, ignore: Iterable[str] = ()) -> list[Fact]:
        """Enabled facts that give another answer to the same: "The code is 1" beside "The code is 2"."""
        ignored = {f"f{parse_fact_id(fact_id)}" for fact_id in ignore}
        target = plain_sentence(parsed.target)
        return [
            fact
            for fact in self.facts(enabled_only=True)
            if fact.id not in ignored and plain_sentence(fact.target) != target and same_matter(fact, parsed)
        ]

    # Builds

    def record_build(self, build: BuildRecord) -> None:
        """Keep what a build was made of; a number that an interrupted build left behind is overwritten."""
        with self._change() as connection:
            connection.execute("DELETE FROM results WHERE base = ? AND build = ?", (build.base, build.number))
            connection.execute(
                "INSERT OR REPLACE INTO builds (base, number, created, patches, facts, forced, locality,"
                " seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    build.base,
                    build.number,
                    build.created or timestamp(),
                    json.dumps(build.patches),
                    json.dumps(build.facts),
                    int(build.forced),
                    None if build.locality is None else json.dumps(dict(build.locality)),
                    json.dumps(dict(build.seconds)),
                ),
            )

    def record_results(self, base: str, build: int, results: Iterable[Result]) -> None:
        """Keep answers; asking a fact again replaces all its earlier answers from this build."""
        rows = list(results)
        now = timestamp()
        with self._change() as connection:
            for number in {parse_fact_id(row.fact_id) for row in rows}:
                connection.execute(
                    "DELETE FROM results WHERE base = ? AND build = ? AND fact_id = ?", (base, build, number)
                )
            # A fact purged meanwhile has no row to hang its answers on.
            connection.executemany(
                "INSERT INTO results (base, build, fact_id, revision, position, question, answer, right,"
                " asked) SELECT ?, ?, id, ?, ?, ?, ?, ?, ? FROM facts WHERE id = ?",
                [
                    (
                        base,
                        build,
                        row.revision,
                        row.position,
                        row.question,
                        row.answer,
                        int(row.right),
                        now,
                        parse_fact_id(row.fact_id),
                    )
                    for row in rows
                ],
            )

    def results(self, base: str, build: int) -> list[Result]:
        """What a build answered, by fact and position."""
        rows = self._rows(
            "SELECT * FROM results WHERE base = ? AND build = ? ORDER BY fact_id, revision, position",
            (base, build),
        )
        return [
            Result(
                f"f{row['fact_id']}",
                row["revision"],
                row["position"],
                row["question"],
                row["answer"],
                bool(row["right"]),
            )
            for row in rows
        ]

    def builds(self, base: str | None = None) -> list[BuildRecord]:
        """The recorded builds, oldest first, of one base or of all."""
        rows = self._rows("SELECT * FROM builds WHERE ? IS NULL OR base = ? ORDER BY base, number", (base, base))
        return [
            BuildRecord(
                row["base"],
                row["number"],
                tuple(json.loads(row["patches"])),
                tuple(json.loads(row["facts"])),
                bool(row["forced"]),
                None if row["locality"] is None else json.loads(row["locality"]),
                json.loads(row["seconds"]),
                row["created"],
            )
            for row in rows
        ]
