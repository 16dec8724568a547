"""Retention in the SQLite store: what goes, a little at a time, and how far it has come."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from relay.stores import Trimmed


def sweep_tips(db: sqlite3.Connection, before: float, limit: int) -> int:
    """Closed tips of old."""
    return db.execute(
        "DELETE FROM tips WHERE seq IN (SELECT seq FROM tips WHERE NOT open ORDER BY seq LIMIT ?) AND accepted_at < ?",
        (limit, before),
    ).rowcount


def sweep_entries(db: sqlite3.Connection, before: float, limit: int) -> int:
    """Entries of old, whosever they are, and tickets of old."""
    gone = db.execute(
        "DELETE FROM entries WHERE n IN (SELECT n FROM entries ORDER BY n LIMIT ?) AND at < ? RETURNING n",
        (limit, before),
    ).fetchall()
    if gone:
        newest = max(n for (n,) in gone)
        db.execute("INSERT OR REPLACE INTO meta VALUES ('trimmed', ?)", (str(newest),))
        db.execute("DELETE FROM surplus WHERE n <= ?", (newest,))
    db.execute("DELETE FROM tickets WHERE until < ?", (before,))
    return len(gone)


def find_surplus(db: sqlite3.Connection, keep: int) -> list[tuple[str, int]]:
    """Models with more than `keep` entries, each with the newest `n` that is to go. Reads one index from end to end."""
    over = db.execute("SELECT model FROM entries GROUP BY model HAVING count(*) > ?", (keep,)).fetchall()
    newest_to_go = "SELECT model, n FROM entries WHERE model = ? ORDER BY n DESC LIMIT 1 OFFSET ?"
    return [row for one in over for row in db.execute(newest_to_go, (*one, keep))]


def sweep_surplus(db: sqlite3.Connection, surplus: Sequence[tuple[str, int]], limit: int) -> int:
    """What `find_surplus` found, and for each model how far it went."""
    total = 0
    for model, until in surplus:
        gone = db.execute(
            "DELETE FROM entries WHERE n IN (SELECT n FROM entries WHERE model = ? AND n <= ? ORDER BY n LIMIT ?)"
            " RETURNING n",
            (model, until, limit - total),
        ).fetchall()
        if gone:
            db.execute("INSERT OR REPLACE INTO surplus VALUES (?, ?)", (model, max(n for (n,) in gone)))
        total += len(gone)
    return total


def find_trimmed(db: sqlite3.Connection, model: str | None) -> Trimmed:
    row = db.execute("SELECT value FROM meta WHERE key = 'trimmed'").fetchone()
    old = int(row[0]) if row else 0
    if model is None:
        return Trimmed(old, max(old, db.execute("SELECT max(n) FROM surplus").fetchone()[0] or 0))
    row = db.execute("SELECT n FROM surplus WHERE model = ?", (model,)).fetchone()
    gone = max(old, row[0] if row else 0)
    return Trimmed(gone, gone)
