"""Changes of the SQLite store: what a `Change` writes inside the running transaction, and what is known by heart."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import apsw
import orjson
from msgspec.structs import replace

from relay.feeds import Entry
from relay.stores import Change, Document, Kept
from relay.stores.sqlite_chains import Chains
from relay.stores.sqlite_rows import TIP_COLUMNS, fetch, model_to_row, receipt_from_row, timeline_to_text, tip_to_text
from relay.tips import Receipt

NEW_TIP = (
    "INSERT INTO tips (seq, k, prev, far, id, model, status, open, private, accepted_at, expires_at, generation,"
    " journal, tip, timeline) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
STEP = "UPDATE tips SET status = ?, open = ?, expires_at = ?, generation = ?, journal = ?, timeline = ? WHERE seq = ?"
ENTRY = "INSERT INTO entries (n, k, prev, far, model, type, at, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class Ledger:
    """Writes changes. It knows by heart which numbers were given, where chains end, and which tips are open."""

    def __init__(self) -> None:
        self.tips = Chains("tips", "seq")
        self.entries = Chains("entries", "n")
        self._open: defaultdict[str, set[int]] = defaultdict(set)  # by model
        self._steps: list[tuple[Any, ...]] = []  # rows of this transaction that are written together
        self._entries: list[tuple[Any, ...]] = []
        self._seen: list[tuple[str, int, bool]] = []  # tips of this transaction: model, seq, open

    def open_tips(self, model: str) -> list[int]:
        """By rising `seq`."""
        return sorted(self._open.get(model, ()))

    def open_models(self) -> list[str]:
        return sorted(self._open)

    # -- a transaction ----------------------------------------------------------

    def apply(self, change: Change, db: apsw.Connection) -> Kept:
        """One change inside the running transaction."""
        receipt = change.new
        if receipt is not None:
            receipt = self._new_tip(db, receipt)
            if receipt is None:
                assert change.new is not None
                self.write(db)  # what this transaction knows of it is part of its record
                return Kept(receipt=find_receipt(db, change.new.tip.id), replayed=True)
        for moved in change.moved:
            status, is_open = moved.status, moved.is_open
            self._steps.append(
                (
                    status.value,
                    is_open,
                    moved.expires_at,
                    moved.generation,
                    moved.journal,
                    timeline_to_text(moved),
                    moved.seq,
                )
            )
            self._seen.append((moved.tip.model, moved.seq, is_open))
        if change.model is not None:
            db.execute(
                "INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", model_to_row(change.model)
            )
        for document in change.documents:
            keep_document(db, document)
        entries = []
        for draft in change.entries:
            model = draft.model
            body = orjson.dumps(draft.body).decode()
            link = self.entries.following(model)
            self.entries.add(model, link)
            self._entries.append((link.row, link.k, link.prev, link.far, model, draft.type, draft.at, body))
            entries.append(Entry(link.row, model, draft.type, draft.at, draft.body))
        return Kept(tuple(entries), receipt)

    def _new_tip(self, db: apsw.Connection, receipt: Receipt) -> Receipt | None:
        """The receipt with its number; None where its id has a record already."""
        tip = receipt.tip
        model = tip.model
        link = self.tips.following(model)
        is_open = receipt.is_open
        db.execute(
            NEW_TIP,
            (
                link.row,
                link.k,
                link.prev,
                link.far,
                tip.id,
                model,
                receipt.status.value,
                is_open,
                tip.private,
                receipt.accepted_at,
                receipt.expires_at,
                receipt.generation,
                receipt.journal,
                tip_to_text(tip),
                timeline_to_text(receipt),
            ),
        )
        if not db.changes():
            return None
        self.tips.add(model, link)
        self._seen.append((model, link.row, is_open))
        return replace(receipt, seq=link.row)

    def write(self, db: apsw.Connection) -> None:
        """What can be written together; before the commit."""
        if self._steps:
            db.executemany(STEP, self._steps)
            self._steps.clear()
        if self._entries:
            db.executemany(ENTRY, self._entries)
            self._entries.clear()

    def committed(self) -> None:
        self.tips.committed()
        self.entries.committed()
        for model, seq, is_open in self._seen:
            if is_open:
                self._open[model].add(seq)
            else:
                self._close(model, seq)
        self._seen.clear()

    def _close(self, model: str, seq: int) -> None:
        seqs = self._open.get(model)
        if seqs is not None:
            seqs.discard(seq)
            if not seqs:
                del self._open[model]

    def forget(self) -> None:
        """The transaction was rolled back."""
        self.tips.forget()
        self.entries.forget()
        for one in (self._steps, self._entries, self._seen):
            one.clear()

    # -- in the file ----------------------------------------------------------

    def load(self, db: apsw.Connection) -> None:
        """Learn it all from a file just opened."""
        self.forget()
        self.tips.load(db)
        self.entries.load(db)
        still: defaultdict[str, set[int]] = defaultdict(set)
        for seq, model in fetch(db, "SELECT seq, model FROM tips WHERE open"):
            still[model].add(seq)
        self._open = still

    @property
    def unsaved(self) -> bool:
        return self.tips.unsaved or self.entries.unsaved

    def save(self, db: apsw.Connection) -> None:
        """Write a little of it down, so that there is less to find out after a restart."""
        self.tips.save(db)
        self.entries.save(db)

    def note_last(self, db: apsw.Connection) -> None:
        """Before rows are taken away."""
        self.tips.note_last(db)
        self.entries.note_last(db)


def keep_document(db: apsw.Connection, document: Document) -> None:
    if document.body is None:
        db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (document.kind, document.id))
    else:
        row = (document.kind, document.id, orjson.dumps(document.body).decode())
        db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", row)


def find_receipt(db: apsw.Connection, tip: str) -> Receipt | None:
    row = db.execute(f"SELECT {TIP_COLUMNS} FROM tips WHERE id = ?", (tip,)).fetchone()
    return receipt_from_row(row) if row else None
