"""Rows of the SQLite store: facts into columns and back."""

from __future__ import annotations

from typing import Any

import apsw
import msgspec
import orjson

from relay.feeds import Entry
from relay.stores import ModelRecord
from relay.tips import Receipt, Status, Step, Tip

_tip = msgspec.json.Decoder(Tip)
_timeline = msgspec.json.Decoder(tuple[Step, ...])
_encode = msgspec.json.Encoder().encode

TIP_COLUMNS = "seq, status, accepted_at, expires_at, generation, journal, tip, timeline"
ENTRY_COLUMNS = "n, model, type, at, body"
MODEL_COLUMNS = "id, name, created_at, token, held, stopped, held_since, generation, menu, words"


def fetch(db: apsw.Connection, sql: str, given: Any = ()) -> list[tuple[Any, ...]]:
    """All rows. What a column holds is the schema's to say."""
    return db.execute(sql, given).fetchall()


def timeline_to_text(receipt: Receipt) -> str:
    return _encode(receipt.timeline).decode()


def tip_to_text(tip: Tip) -> str:
    return _encode(tip).decode()


def receipt_from_row(row: tuple[Any, ...]) -> Receipt:
    seq, status, accepted_at, expires_at, generation, journal, tip, timeline = row
    return Receipt(
        tip=_tip.decode(tip),
        accepted_at=accepted_at,
        expires_at=expires_at,
        timeline=_timeline.decode(timeline),
        status=Status(status),
        seq=seq,
        generation=generation,
        journal=journal,
    )


def model_to_row(record: ModelRecord) -> tuple[Any, ...]:
    menu = None if record.menu is None else orjson.dumps(record.menu).decode()
    words = orjson.dumps(
        {"language": record.language, "muted": sorted(record.muted), "said": sorted(record.said)}
    ).decode()
    return (
        record.id,
        record.name,
        record.created_at,
        record.token,
        record.held,
        record.stopped,
        record.held_since,
        record.generation,
        menu,
        words,
    )


def model_from_row(row: tuple[Any, ...]) -> ModelRecord:
    id, name, created_at, token, held, stopped, held_since, generation, menu, words = row
    kept = orjson.loads(words) if words else {}
    return ModelRecord(
        id=id,
        name=name,
        created_at=created_at,
        token=token,
        held=bool(held),
        stopped=bool(stopped),
        held_since=held_since,
        generation=generation,
        menu=orjson.loads(menu) if menu else None,
        language=kept.get("language"),
        muted=frozenset(kept.get("muted", ())),
        said=frozenset(kept.get("said", ())),
    )


def entry_from_row(row: tuple[Any, ...]) -> Entry:
    n, model, kind, at, body = row
    return Entry(n, model, kind, at, orjson.loads(body))
