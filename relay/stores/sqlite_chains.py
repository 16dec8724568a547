"""Chains: a model's rows among everybody's, found without an index of them.

Each row of `tips` and `entries` knows its place `k` among its model's (1, 2, 3, …), the row before it (`prev`), and the
newest row before it whose place is a multiple of 64 (`far`). Who reads begins at the newest and goes back, in long
strides first. An index would touch a page of the file of its own for nearly every row: those of a thousand models lie
in a thousand places of it (docs/decisions/0009).

The newest row of each model is known by heart. It is written down now and then; what came since is found at the end of
the table.
"""

from __future__ import annotations

from typing import Any, Final

import apsw
from msgspec import Struct

from relay.stores.sqlite_rows import fetch

STRIDE: Final = 64
SAVED_AT_ONCE: Final = 200  # a fraction of a millisecond


class Link(Struct, frozen=True, gc=False):
    """A row in its chain."""

    row: int = 0
    k: int = 0
    prev: int = 0  # known of those that `following` gave; a head out of the file needs none
    far: int = 0


NOBODY = Link()


class Chains:
    """The newest link of every model's chain in one table. What is added counts once it is `committed`."""

    def __init__(self, table: str, key: str) -> None:
        self.last = 0  # the highest number given to a row that was kept
        self.heads: dict[str, Link] = {}
        self.grown: set[str] = set()  # since whoever looks for surplus looked last
        self._table = table
        self._key = key
        self._fresh: dict[str, Link] = {}  # of the transaction under way
        self._given = 0
        self._unsaved: set[str] = set()
        self._saving: list[str] = []  # of the round under way
        self._saved_until = 0  # once that round is over

    def head(self, model: str) -> Link:
        """The model's newest row that was kept."""
        return self.heads.get(model, NOBODY)

    def following(self, model: str) -> Link:
        """The link of the model's next row. It has still to be added."""
        head = self._fresh.get(model) or self.heads.get(model, NOBODY)
        k = head.k
        return Link(self._given + 1, k + 1, head.row, head.row if k and k % STRIDE == 0 else head.far)

    def add(self, model: str, link: Link) -> None:
        self._fresh[model] = link
        self._given = link.row

    def committed(self) -> None:
        if self._fresh:
            self.heads.update(self._fresh)
            self.grown.update(self._fresh)
            self._unsaved.update(self._fresh)
            self._fresh.clear()
            self.last = self._given

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._fresh.clear()
        self._given = self.last

    # -- in the file ----------------------------------------------------------

    def load(self, db: apsw.Connection) -> None:
        saved = fetch(db, "SELECT model, row, k, far FROM chains WHERE tab = ?", (self._table,))
        heads = {model: Link(row, k, far=far) for model, row, k, far in saved}
        rest = f"SELECT {self._key}, model, k, far FROM {self._table} WHERE {self._key} > ? ORDER BY {self._key}"
        for row, model, k, far in fetch(db, rest, (number(db, f"{self._table}_saved"),)):
            heads[model] = Link(row, k, far=far)  # as it comes, or the same once more
        newest = fetch(db, f"SELECT max({self._key}) FROM {self._table}")[0][0] or 0
        self.last = self._given = max(newest, number(db, f"{self._table}_last"))
        self.heads = heads  # readers go on with what they knew until all of it is known
        self.grown, self._unsaved = set(heads), set(heads)
        self._saving, self._saved_until = [], 0
        self._fresh.clear()

    @property
    def unsaved(self) -> bool:
        return bool(self._unsaved or self._saving)

    def save(self, db: apsw.Connection) -> None:
        """Write some of what has changed down; each round says how far a reader of the table's end may trust it."""
        if not self._saving:
            self._saving, self._saved_until = list(self._unsaved), self.last
            self._unsaved.clear()
        some, self._saving = self._saving[-SAVED_AT_ONCE:], self._saving[:-SAVED_AT_ONCE]
        links = [(model, self.heads[model]) for model in some]
        rows = [(self._table, model, link.row, link.k, link.far) for model, link in links]
        db.executemany("INSERT OR REPLACE INTO chains VALUES (?, ?, ?, ?, ?)", rows)
        if not self._saving:
            note(db, f"{self._table}_saved", self._saved_until)

    def note_last(self, db: apsw.Connection) -> None:
        """Before rows are taken away: no number is given twice."""
        note(db, f"{self._table}_last", self.last)


def number(db: apsw.Connection, key: str) -> int:
    found = fetch(db, "SELECT value FROM meta WHERE key = ?", (key,))
    return int(found[0][0]) if found else 0


def note(db: apsw.Connection, key: str, value: int) -> None:
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, str(value)))


# -- reading ----------------------------------------------------------


def page(db: apsw.Connection, table: str, columns: str, head: Link, after: int, limit: int) -> list[tuple[Any, ...]]:
    """A chain's rows by rising number, from beyond `after`, as far down as the chain is whole. The first of `columns`
    is the number."""
    rows: list[tuple[Any, ...]] = []
    while head.row > after and len(rows) < limit and (more := stretch(db, table, columns, head, after, limit)):
        rows += more
        after = rows[-1][0]
    return rows[:limit]


def stretch(db: apsw.Connection, table: str, columns: str, head: Link, after: int, limit: int) -> list[tuple[Any, ...]]:
    """The next rows beyond `after`: about `limit` of them, fewer where some have gone."""
    strides = db.execute(
        "WITH RECURSIVE walk (row) AS (VALUES (:head) UNION ALL"
        f" SELECT far FROM walk JOIN {table} ON rowid = walk.row WHERE far > :after)"
        f" SELECT walk.row FROM walk CROSS JOIN {table} ON rowid = walk.row",
        {"head": head.row, "after": after},
    ).fetchall()
    if not strides:
        return []
    start = strides[max(0, len(strides) - 1 - -(-limit // STRIDE))][0]
    rows = db.execute(
        "WITH RECURSIVE walk (row) AS (VALUES (:start) UNION ALL"
        f" SELECT prev FROM walk JOIN {table} ON rowid = walk.row WHERE prev > :after)"
        f" SELECT {columns} FROM walk CROSS JOIN {table} ON {table}.rowid = walk.row",
        {"start": start, "after": after},
    ).fetchall()
    rows.reverse()
    return rows


def row_at(db: apsw.Connection, table: str, head: Link, k: int) -> int | None:
    """The number of the chain's `k`th row; None where there never was one, or it has gone."""
    if not 1 <= k <= head.k:
        return None
    near = fetch(
        db,
        "WITH RECURSIVE walk (row) AS (VALUES (:head) UNION ALL"
        f" SELECT next.rowid FROM walk JOIN {table} AS here ON here.rowid = walk.row"
        f" JOIN {table} AS next ON next.rowid = here.far WHERE next.k >= :k)"
        " SELECT min(row) FROM walk",
        {"head": head.row, "k": k},
    )[0][0]
    found = fetch(
        db,
        f"WITH RECURSIVE walk (row, k) AS (SELECT rowid, k FROM {table} WHERE rowid = :near UNION ALL"
        f" SELECT next.rowid, next.k FROM walk JOIN {table} AS here ON here.rowid = walk.row"
        f" JOIN {table} AS next ON next.rowid = here.prev WHERE walk.k > :k)"
        " SELECT walk.row FROM walk WHERE k = :k",
        {"near": near, "k": k},
    )
    return int(found[0][0]) if found else None


def behind(db: apsw.Connection, table: str, row: int) -> list[int]:
    """The numbers of a row and of all before it in its chain, falling."""
    found = fetch(
        db,
        "WITH RECURSIVE walk (row) AS (VALUES (:row) UNION ALL"
        f" SELECT prev FROM walk JOIN {table} ON rowid = walk.row WHERE prev > 0)"
        f" SELECT walk.row FROM walk CROSS JOIN {table} ON rowid = walk.row",
        {"row": row},
    )
    return [number for (number,) in found]
