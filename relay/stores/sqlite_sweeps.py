"""Retention in the SQLite store: what goes, a little at a time, and how far it has come."""

from __future__ import annotations

import apsw
import orjson
from msgspec import Struct

from relay.stores import Trimmed
from relay.stores.sqlite_chains import Chains, behind, note, number, row_at
from relay.stores.sqlite_rows import fetch


def sweep_tips(db: apsw.Connection, before: float, limit: int) -> int:
    """Closed tips of old."""
    db.execute(
        "DELETE FROM tips WHERE seq IN (SELECT seq FROM tips WHERE NOT open ORDER BY seq LIMIT ?) AND accepted_at < ?",
        (limit, before),
    )
    return db.changes()


def sweep_entries(db: apsw.Connection, before: float, limit: int) -> int:
    """Entries of old, whosever they are."""
    gone = fetch(
        db,
        "DELETE FROM entries WHERE n IN (SELECT n FROM entries ORDER BY n LIMIT ?) AND at < ? RETURNING n",
        (limit, before),
    )
    if gone:
        newest = max(n for (n,) in gone)
        note(db, "trimmed", newest)
        db.execute("DELETE FROM surplus WHERE n <= ?", (newest,))
    return len(gone)


def sweep_tickets(db: apsw.Connection, before: float, limit: int) -> int:
    """Tickets that nobody can show any more."""
    db.execute(
        "DELETE FROM tickets WHERE id IN (SELECT id FROM tickets WHERE until < ? ORDER BY until LIMIT ?)",
        (before, limit),
    )
    return db.changes()


class Cut(Struct):
    """A model that has more entries than are kept: these go, the oldest last."""

    model: str
    rows: list[int]


class Surplus:
    """Finds the models that have more entries than are kept. Only those are looked at that have got more since."""

    def __init__(self, entries: Chains) -> None:
        self.cuts: list[Cut] = []
        self._entries = entries
        self._gone: dict[str, int] = {}  # up to this place of her chain they have gone
        self._keep: int | None = None

    def forget(self) -> None:
        """Look at everybody again."""
        self.cuts, self._gone = [], {}
        self._entries.grown = set(self._entries.heads)

    def candidates(self, keep: int) -> list[str]:
        """Whom to look at: known by heart."""
        if keep != self._keep:
            self._keep, self._entries.grown = keep, set(self._entries.heads)
        grown, self._entries.grown = self._entries.grown, set()
        heads, gone = self._entries.heads, self._gone
        return [model for model in grown if heads[model].k - gone.get(model, 0) > keep]

    def find(self, db: apsw.Connection, models: list[str], keep: int) -> list[Cut]:
        """What goes of their chains."""
        found = []
        for model in models:
            head = self._entries.heads[model]
            self._gone[model] = head.k - keep
            newest = row_at(db, "entries", head, head.k - keep)
            if newest is not None:
                found.append(Cut(model, behind(db, "entries", newest)))
        return found

    def sweep(self, db: apsw.Connection, limit: int) -> int:
        """Some of what goes, the oldest first, so that what is left is a whole chain; and for each model how far."""
        total = 0
        while self.cuts and total < limit:
            cut = self.cuts[-1]
            some = cut.rows[total - limit :]
            del cut.rows[total - limit :]
            db.execute(
                "DELETE FROM entries WHERE n IN (SELECT value FROM json_each(?))", (orjson.dumps(some).decode(),)
            )
            total += db.changes()
            db.execute("INSERT OR REPLACE INTO surplus VALUES (?, ?)", (cut.model, some[0]))
            if not cut.rows:
                self.cuts.pop()
        return total


def find_trimmed(db: apsw.Connection, model: str | None) -> Trimmed:
    old = number(db, "trimmed")
    if model is None:
        return Trimmed(old, max(old, fetch(db, "SELECT max(n) FROM surplus")[0][0] or 0))
    found = fetch(db, "SELECT n FROM surplus WHERE model = ?", (model,))
    gone = max(old, found[0][0] if found else 0)
    return Trimmed(gone, gone)
