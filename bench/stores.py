"""Stores with a past: filled once with what the relay itself would have kept, then copied for every run.

A few tips go through the relay's own functions; SQL multiplies them, later and under other ids. Ten million take
minutes, so filled files are kept in `stores/` of the bench's place.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import apsw
import click

from bench.place import BenchFailed, place
from relay.feeds import Draft, tip_entry
from relay.settings import Settings
from relay.stores import Change, ModelRecord
from relay.stores.sqlite_changes import Ledger
from relay.stores.sqlite_migrations import link
from relay.stores.sqlite_rows import fetch
from relay.tips import Receipt, Status, Tip, accept, move

VERSION = 2  # of what is filled in; a change of it, or of the schema, makes old files useless
MODELS = 1000  # as many as there are pages; their tips are theirs
SEEDS = 2000
READ_URI = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
KEEPS = Settings()
DAY_SECONDS = 86400.0
BYTES_PER_TIP = 1000  # of the file, its share of the feed included
CACHE_KIB = 2_000_000  # while it is filled: an index over ids in no order has to fit
IDS = ("scattered", "rising")


@dataclass(frozen=True, slots=True)
class Past:
    """What happened before: closed tips, evenly over the days a record is kept, and what is left of their feed.

    `scattered` ids are new everywhere in the index over ids, as random ones are; `rising` ones at its end.
    """

    tips: int
    ids: str = "scattered"

    def id(self, number: int) -> str:
        if self.ids == "rising":
            return f"order-{number:010}"
        scattered = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=16).hexdigest()
        return f"{int(scattered[:8], 16) % MODELS:06}-{scattered[8:]}"

    @property
    def seconds_each(self) -> float:
        """From one tip to the next."""
        return KEEPS.retention_days * DAY_SECONDS / self.tips


def filled(past: Past) -> Path:
    """The file, at rest. Made when it is first asked for: in about 20 s for each million tips."""
    schema = resources.files("relay.stores").joinpath("schema.sql").read_text()
    key = hashlib.sha256(f"{VERSION} {MODELS} {SEEDS} {past} {schema}".encode()).hexdigest()[:10]
    folder = place() / "stores"
    folder.mkdir(exist_ok=True)
    path = folder / f"{past.tips}-{past.ids}-{key}.db"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            for stale in folder.glob(f"{past.tips}-{past.ids}-*"):
                stale.unlink()  # of another schema, or not whole
            check_room(folder, past)
            fresh = path.with_suffix(".fresh")
            since = time.monotonic()
            fill(fresh, schema, past, time.time())
            fresh.rename(path)
            said = f"{path.stat().st_size / 2**20:,.0f} MiB in {time.monotonic() - since:.0f} s"
            click.echo(f"scripts/bench: filled {path}, {said}", err=True)
    return path


def check_room(folder: Path, past: Past) -> None:
    """For the file, and a copy of it."""
    needed, free = 2 * BYTES_PER_TIP * past.tips, shutil.disk_usage(folder).free
    if free < needed:
        raise BenchFailed(
            f"a store with {past.tips:,} tips needs {needed / 2**30:.0f} GiB in {folder}: there are {free / 2**30:.0f}"
        )


def copy(past: Past, to: Path) -> None:
    """A copy, on the disk before anybody measures, and still in the system's memory as far as there is some."""
    done = subprocess.run(["cp", "--reflink=auto", str(filled(past)), str(to)], capture_output=True, text=True)
    if done.returncode:
        raise BenchFailed(done.stderr.strip())
    to_disk(to)


def age_days(past: Past) -> int:
    """How many days have gone by since it was filled: so much longer it has to be kept for the same to be old."""
    with closing(apsw.Connection(f"file:{filled(past)}?immutable=1", flags=READ_URI)) as db:
        newest = fetch(db, "SELECT accepted_at FROM tips ORDER BY seq DESC LIMIT 1")[0][0]
    return int((time.time() - float(newest)) / DAY_SECONDS)


# -- filling ----------------------------------------------------------


def fill(path: Path, schema: str, past: Past, now: float) -> None:
    """Writes the file, its newest tip accepted at `now` (seconds since 1970). Whoever is interrupted begins again."""
    with closing(apsw.Connection(str(path))) as db:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE_KIB}"):
            db.execute(f"PRAGMA {pragma}").fetchall()
        db.execute(schema).fetchall()
        db.create_scalar_function("tip_id", lambda *given: past.id(int(str(given[0]))), 1, deterministic=True)
        db.execute("BEGIN")
        ledger = Ledger()
        first = now - (past.tips - 1) * past.seconds_each
        seeds = min(SEEDS, past.tips)
        for i in range(MODELS):
            model = ModelRecord(f"m{i:06}", f"Model {i}", first)
            ledger.apply(Change(model=model), db)
        for number in range(1, seeds + 1):
            live(db, ledger, past.id(number), number, first + (number - 1) * past.seconds_each)
        multiply(db, past, seeds, now - KEEPS.history_days * DAY_SECONDS)
        for table, number_is in (("tips", "seq"), ("entries", "n")):
            link(db, table, number_is)
        ledger.load(db)
        while ledger.unsaved:
            ledger.save(db)
        db.execute("COMMIT")
    with closing(apsw.Connection(str(path))) as db:
        db.execute(
            "PRAGMA journal_mode=WAL"
        ).fetchall()  # as the relay would find it; the checkpoint leaves nothing beside it
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    to_disk(path)


def to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def live(db: apsw.Connection, ledger: Ledger, id: str, number: int, at: float) -> None:
    """A tip's whole life, as the hub has it kept: a change for each step, and what the feed says of it."""
    model, tipper = f"m{number * 389 % MODELS:06}", f"tipper{number * 7919 % 5003}"
    hidden, name = number % 10 == 0, "Anonymous" if number % 10 == 0 else tipper
    tip = Tip(id, model, tipper, 1 + number % 200, anonymous=hidden, private=number % 20 == 7, shown=name)
    taken = accept(tip, at)
    sent = move(taken, Status.SENT, at, "given to the page", {"generation": 1}, generation=1, journal="j" * 22)
    receipt = ledger.apply(Change(new=sent, entries=told(taken)), db).receipt
    assert receipt is not None
    for status, after, why, evidence in life_of(number, name, tip.amount):
        receipt = move(receipt, status, at + after, why, evidence)
        ledger.apply(Change(moved=(receipt,), entries=told(receipt)), db)
    ledger.write(db)
    ledger.committed()


def told(receipt: Receipt) -> tuple[Draft, ...]:
    draft = tip_entry(receipt)
    return () if draft is None else (draft,)


def life_of(number: int, name: str, amount: int) -> Sequence[tuple[Status, float, str, dict[str, object]]]:
    """What comes after it was sent, and after how many seconds: as the lines of the relay say it."""
    played = (Status.PLAYED, 0.05, "the page called the vendor's script", {"ack": "played", "generation": 1})
    if number % 50 == 3:
        return [(Status.FAILED, 0.05, "the vendor's script refused: not ready", {"ack": "failed", "generation": 1})]
    if number % 8 == 5:
        return [played, (Status.NO_REACTION, 60.05, "no word from the vendor for 60 s", {})]
    seen = {"tipper": name, "amount": amount, "level": 2, "special": None, "seconds": 6}
    return [played, (Status.DONE, 7.1, "the vendor showed it running, then gone", seen)]


def multiply(db: apsw.Connection, past: Past, seeds: int, entries_since: float) -> None:
    """The first `seeds` tips again and again, and their entries from `entries_since` on, as retention leaves them."""
    db.execute("CREATE TEMP TABLE seeds AS SELECT * FROM tips ORDER BY seq")
    db.execute(
        "CREATE TEMP TABLE told AS SELECT entries.*, tips.id AS tip_id, tips.seq AS tip_seq"
        " FROM entries JOIN tips ON tips.id = json_extract(entries.body, '$.tip') ORDER BY n"
    )
    tips = insert("tips", columns(db, "tips"), "seeds", TIP_LATER)
    tips += " WHERE seq + :tips <= :tips_max ORDER BY seq"
    entries = insert("entries", columns(db, "entries"), "told", ENTRY_LATER)
    entries += " WHERE tip_seq + :tips <= :tips_max AND at + :seconds >= :since ORDER BY n"
    told_each = int(fetch(db, "SELECT count(*) FROM told")[0][0])
    busiest = fetch(db, "SELECT count(*) FROM told GROUP BY model ORDER BY 1 DESC")[0][0]
    blocks = -(-past.tips // seeds)
    since_block = blocks - KEEPS.history_entries // busiest  # more than that are kept of nobody
    db.execute("DELETE FROM entries WHERE at < ?", (entries_since,))
    for block in range(1, blocks):
        later = {"tips": block * seeds, "entries": block * told_each, "seconds": block * seeds * past.seconds_each}
        later |= {"tips_max": past.tips, "since": entries_since}
        db.execute(tips, later)
        if block >= since_block:
            db.execute(entries, later)


def columns(db: apsw.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in db.execute(f"PRAGMA table_info({table})")]


# What a block has otherwise than the seeds; any other column stays as it was.
TIP_LATER = {
    "seq": "seq + :tips",
    "id": "tip_id(seq + :tips)",
    "accepted_at": "accepted_at + :seconds",
    "expires_at": "expires_at + :seconds",
    "tip": "replace(tip, id, tip_id(seq + :tips))",
}
ENTRY_LATER = {
    "n": "n + :entries",
    "at": "at + :seconds",
    "body": "replace(body, tip_id, tip_id(tip_seq + :tips))",
}


def insert(table: str, names: Sequence[str], source: str, later: Mapping[str, str]) -> str:
    """The statement that copies all columns of `source`, some of them as `later` says."""
    values = ", ".join(later.get(name, name) for name in names)
    return f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {source}"
