"""Files from before: what their tables lack is added when they are opened."""

from __future__ import annotations

import apsw

from relay.stores.sqlite_chains import STRIDE

LINKS = ("k", "prev", "far")
# Of every row its place among its model's, the row before it, and the newest row before it in a STRIDE's place.
CHAIN = """
    UPDATE {table} SET k = new.k, prev = new.prev, far = new.far
    FROM (
        SELECT row, k, prev, coalesce(max(CASE WHEN k % {stride} = 0 THEN row END) OVER (
            PARTITION BY model ORDER BY row ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0) AS far
        FROM (
            SELECT {key} AS row, model, row_number() OVER line AS k, lag({key}, 1, 0) OVER line AS prev
            FROM {table} WINDOW line AS (PARTITION BY model ORDER BY {key})
        )
    ) AS new
    WHERE {table}.{key} = new.row
"""


def migrate(db: apsw.Connection) -> None:
    """Bring an older file up to the schema; a new one has no tables yet. All of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        if lacks(db, "models", "words"):
            db.execute("ALTER TABLE models ADD COLUMN words TEXT")
        if lacks(db, "tips", "private"):
            db.execute("ALTER TABLE tips ADD COLUMN private INTEGER NOT NULL DEFAULT 0")
            db.execute("DROP INDEX IF EXISTS tips_private")
            db.execute("UPDATE tips SET private = 1 WHERE json_extract(tip, '$.private')")
        for table, key in (("tips", "seq"), ("entries", "n")):
            if lacks(db, table, "k"):
                make_chains(db, table, key)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def lacks(db: apsw.Connection, table: str, column: str) -> bool:
    columns = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
    return bool(columns) and column not in columns


def make_chains(db: apsw.Connection, table: str, key: str) -> None:
    """From the indexes by model of before."""
    for column in LINKS:
        db.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    link(db, table, key)
    for index in (f"{table}_by_model", "tips_open"):
        db.execute(f"DROP INDEX IF EXISTS {index}")
    last = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    db.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"{table}_last", str(last[0] if last else 0)))


def link(db: apsw.Connection, table: str, key: str) -> None:
    """Make the chains of a table out of nothing but its rows."""
    db.execute(CHAIN.format(table=table, key=key, stride=STRIDE))
