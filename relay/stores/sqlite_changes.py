"""Changes of the SQLite store: one `Change` inside the running transaction."""

from __future__ import annotations

import sqlite3

import orjson
from msgspec.structs import replace

from relay.feeds import Entry
from relay.stores import Change, Document, Kept
from relay.stores.sqlite_rows import TIP_COLUMNS, model_to_row, receipt_from_row, timeline_to_text, tip_to_text
from relay.tips import Receipt


def apply(db: sqlite3.Connection, change: Change) -> Kept:
    """One change inside the running transaction."""
    receipt = change.new
    if receipt is not None:
        tip = receipt.tip
        written = db.execute(
            "INSERT INTO tips (id, model, status, open, accepted_at, expires_at, generation, journal, tip, timeline)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (
                tip.id,
                tip.model,
                receipt.status.value,
                receipt.is_open,
                receipt.accepted_at,
                receipt.expires_at,
                receipt.generation,
                receipt.journal,
                tip_to_text(tip),
                timeline_to_text(receipt),
            ),
        )
        if not written.rowcount:
            return Kept(receipt=find_receipt(db, tip.id), replayed=True)
        receipt = replace(receipt, seq=written.lastrowid or 0)
    for moved in change.moved:
        db.execute(
            "UPDATE tips SET status = ?, open = ?, expires_at = ?, generation = ?, journal = ?, timeline = ?"
            " WHERE seq = ?",
            (
                moved.status.value,
                moved.is_open,
                moved.expires_at,
                moved.generation,
                moved.journal,
                timeline_to_text(moved),
                moved.seq,
            ),
        )
    if change.model is not None:
        db.execute("INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", model_to_row(change.model))
    for document in change.documents:
        keep_document(db, document)
    entries = []
    for draft in change.entries:
        written = db.execute(
            "INSERT INTO entries (model, type, at, body) VALUES (?, ?, ?, ?)",
            (draft.model, draft.type, draft.at, orjson.dumps(draft.body).decode()),
        )
        entries.append(Entry(written.lastrowid or 0, draft.model, draft.type, draft.at, draft.body))
    return Kept(tuple(entries), receipt)


def keep_document(db: sqlite3.Connection, document: Document) -> None:
    if document.body is None:
        db.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (document.kind, document.id))
    else:
        row = (document.kind, document.id, orjson.dumps(document.body).decode())
        db.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", row)


def find_receipt(db: sqlite3.Connection, tip: str) -> Receipt | None:
    row = db.execute(f"SELECT {TIP_COLUMNS} FROM tips WHERE id = ?", (tip,)).fetchone()
    return receipt_from_row(row) if row else None
