"""A fact's words written into the ledger's tables. Each function is a part of its caller's transaction."""

import json
import sqlite3

from homeedit.facts.fact import Fact, ParsedFact, drafted
from homeedit.facts.records import parse_fact_id, parsed_of, plain_sentence, purged, spelled, timestamp, written
from homeedit.facts.tags import clean_tags


def insert_fact(connection: sqlite3.Connection, parsed: ParsedFact, tags: tuple[str, ...]) -> Fact:
    """A new fact in its first revision."""
    now = timestamp()
    cursor = connection.execute(
        "INSERT INTO facts (revision, sentence, plain, subject, prompt, target, questions, relation,"
        " created, changed, tags) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (parsed.sentence, plain_sentence(parsed.sentence), *written(parsed)[1:], now, now, json.dumps(tags)),
    )
    number = int(cursor.lastrowid or 0)
    insert_revision(connection, number, 1, parsed, now)
    return drafted(parsed, f"f{number}", now, tags)


def insert_revision(connection: sqlite3.Connection, number: int, revision: int, parsed: ParsedFact, now: str) -> None:
    """A further wording of fact ``number``, beside the earlier ones."""
    connection.execute(
        "INSERT INTO revisions (fact_id, revision, sentence, subject, prompt, target, questions,"
        " relation, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (number, revision, *written(parsed), now),
    )


def put_back(connection: sqlite3.Connection, fact: Fact, patch: str | None) -> None:
    """Make the stored fact what ``fact`` says; see ``Ledger.put_back``."""
    number, now = parse_fact_id(fact.id), timestamp()
    parsed = ParsedFact(**spelled(fact))
    row = connection.execute("SELECT * FROM facts WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise purged(fact.id)
    revision, refused = row["revision"], row["refused"] if row["patch"] == patch else None
    if parsed_of(row) != parsed:
        revision, refused = revision + 1, None
        insert_revision(connection, number, revision, parsed, now)
        _repeat_results(connection, number, fact.revision, revision, parsed)
    connection.execute(
        "UPDATE facts SET revision = ?, sentence = ?, plain = ?, subject = ?, prompt = ?, target = ?,"
        " questions = ?, relation = ?, patch = ?, refused = ?, changed = ?, tags = ?, enabled = ?,"
        " removed = 0 WHERE id = ?",
        (
            revision,
            parsed.sentence,
            plain_sentence(parsed.sentence),
            *written(parsed)[1:],
            patch,
            refused,
            now,
            json.dumps(clean_tags(fact.tags)),
            int(fact.enabled),
            number,
        ),
    )


def _repeat_results(
    connection: sqlite3.Connection, number: int, earlier: int, revision: int, parsed: ParsedFact
) -> None:
    """What builds answered to revision ``earlier`` counts for ``revision`` too, if the words are the same."""
    row = connection.execute("SELECT * FROM revisions WHERE fact_id = ? AND revision = ?", (number, earlier)).fetchone()
    if row is not None and parsed_of(row) == parsed:
        connection.execute(
            "INSERT INTO results (base, build, fact_id, revision, position, question, answer, right, asked)"
            " SELECT base, build, fact_id, ?, position, question, answer, right, asked FROM results"
            " WHERE fact_id = ? AND revision = ?",
            (revision, number, earlier),
        )
