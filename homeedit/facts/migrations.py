"""The ledger's schema, step by step; ``PRAGMA user_version`` counts the steps taken."""

import sqlite3

APPLICATION_ID = 0x68656469
"""Marks a SQLite file as a homeedit ledger ("hedi")."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE facts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            revision INTEGER NOT NULL,
            sentence TEXT NOT NULL,
            plain TEXT NOT NULL,
            subject TEXT NOT NULL,
            prompt TEXT NOT NULL,
            target TEXT NOT NULL,
            questions TEXT NOT NULL,
            relation TEXT NOT NULL,
            enabled INTEGER NOT NULL DEFAULT 1,
            patch TEXT,
            refused TEXT,
            removed INTEGER NOT NULL DEFAULT 0,
            created TEXT NOT NULL,
            changed TEXT NOT NULL
        )""",
        "CREATE INDEX facts_by_plain ON facts (plain)",
        "CREATE INDEX facts_by_patch ON facts (patch)",
        """CREATE TABLE revisions (
            fact_id INTEGER NOT NULL REFERENCES facts (id) ON DELETE CASCADE,
            revision INTEGER NOT NULL,
            sentence TEXT NOT NULL,
            subject TEXT NOT NULL,
            prompt TEXT NOT NULL,
            target TEXT NOT NULL,
            questions TEXT NOT NULL,
            relation TEXT NOT NULL,
            created TEXT NOT NULL,
            PRIMARY KEY (fact_id, revision)
        ) WITHOUT ROWID""",
        """CREATE TABLE builds (
            base TEXT NOT NULL,
            number INTEGER NOT NULL,
            created TEXT NOT NULL,
            patches TEXT NOT NULL,
            facts TEXT NOT NULL,
            forced INTEGER NOT NULL,
            locality TEXT,
            seconds TEXT NOT NULL,
            PRIMARY KEY (base, number)
        ) WITHOUT ROWID""",
        """CREATE TABLE results (
            base TEXT NOT NULL,
            build INTEGER NOT NULL,
            fact_id INTEGER NOT NULL REFERENCES facts (id) ON DELETE CASCADE,
            revision INTEGER NOT NULL,
            position INTEGER NOT NULL,
            question TEXT NOT NULL,
            answer TEXT NOT NULL,
            right INTEGER NOT NULL,
            asked TEXT NOT NULL,
            PRIMARY KEY (base, build, fact_id, revision, position)
        ) WITHOUT ROWID""",
        "CREATE INDEX results_by_fact ON results (fact_id)",
    ),
    ("ALTER TABLE facts ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'",),
)
"""Each step is a tuple of statements; never change one that was released, add another."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a ledger to the newest schema, each step in a transaction of its own."""
    for version, statements in enumerate(MIGRATIONS, start=1):
        if schema_version(connection) >= version:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have taken the step while this one waited for the lock.
            if schema_version(connection) < version:
                for statement in statements:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations the file has seen."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
