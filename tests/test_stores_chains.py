"""Chains of the SQLite store: of one model it finds what the memory store finds, whatever happened to the file."""

import asyncio
import random
from contextlib import closing

import apsw
import pytest
from unit_kit import T0, a_receipt, a_tip

from relay.feeds import Draft
from relay.stores import Change, ModelRecord, sqlite_chains
from relay.stores.memory import MemoryStore
from relay.stores.sqlite import SqliteStore
from relay.stores.sqlite_chains import STRIDE, Chains
from relay.tips import Status, accept, move

MODELS = ["coco", "mia", "amy"]


def draft(text, model, at=T0):
    return Draft(model, "announcement", at, {"text": text})


async def opened(path):
    store = SqliteStore(str(path / "relay.db"))
    await store.open()
    return store


async def seen(store, models=MODELS):
    """Everything that can be read of each model, in pages of several sizes."""
    found = []
    for model in models:
        for limit in (1, 7, STRIDE, 200):
            after, pages = 0, []
            while page := await store.entries(model=model, after=after, limit=limit):
                pages += page
                after = page[-1].n
                assert len(page) <= limit
            found.append([(one.n, one.body["text"]) for one in pages])
        found.append([await store.before_last(model=model, count=count) for count in (0, 1, 5, STRIDE, 150, 1000)])
        found.append([one.tip.id for one in await store.receipts(model=model, limit=1000)])
        found.append([one.tip.id for one in await store.receipts(model=model, status=Status.DONE, limit=3)])
        found.append(await store.trimmed(model))
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_found_of_a_model_is_what_was_kept(tmp_path, seed):
    """Through groups, refusals in the middle of one, repeats, sweeps by age and by count, and restarts."""
    dice = random.Random(seed)
    memory, disk = MemoryStore(), await opened(tmp_path)
    at, tips = T0, 0
    for _ in range(40):
        changes = []
        for _ in range(dice.randrange(1, 60)):
            at += 1
            model = dice.choice(MODELS[: dice.randrange(1, 4)])
            change = Change(entries=tuple(draft(f"{at}-{k}", model, at) for k in range(dice.randrange(3))))
            if dice.random() < 0.3:
                tips += dice.random() < 0.8  # else a repeat, of which nothing is kept
                status = Status.DONE if dice.random() < 0.7 else Status.ACCEPTED
                change = Change(new=a_receipt(f"t{tips}", status, model=model, at=at), entries=change.entries)
            changes.append(change)
        bad = dice.randrange(len(changes)) if dice.random() < 0.3 else None
        kept = []
        for number, change in enumerate(changes):
            kept.append(disk.keep(change))
            await memory.keep(change)
            if number == bad:
                kept.append(disk.keep(Change(entries=(draft(object(), "coco"),))))
        await asyncio.gather(*kept, return_exceptions=True)
        if dice.random() < 0.5:
            swept = {"tips_before": at - 400, "entries_before": at - 900, "entries_max": 150, "limit": 40}
            while await disk.sweep(**swept) + await memory.sweep(**swept):
                pass
        if dice.random() < 0.3:
            await disk.close()
            disk = await opened(tmp_path)
    assert await seen(memory) == await seen(disk)
    assert await memory.last() == await disk.last()
    await disk.close()


async def test_the_end_of_a_chain_is_found_however_little_was_written_down(tmp_path, monkeypatch):
    """A round of writing chains down that a crash interrupts leaves nothing wrong behind."""
    monkeypatch.setattr(sqlite_chains, "SAVED_AT_ONCE", 2)
    store = await opened(tmp_path)
    models = [f"m{n}" for n in range(7)]
    for round_ in range(5):
        await asyncio.gather(*(store.keep(Change(entries=(draft(f"{round_}{one}", one),))) for one in models))
        await store._writer.do(store._ledger.save)
    before = await seen(store, models)
    await store.close()
    again = await opened(tmp_path)
    assert before == await seen(again, models)
    await again.keep(Change(entries=(draft("new", "m3"),)))
    assert ["4m3", "new"] == [one.body["text"] for one in (await again.entries(model="m3"))[-2:]]
    await again.close()


async def test_no_number_is_given_twice_after_everything_was_swept(tmp_path):
    """A cursor to what has gone must not come to mean something new."""
    store = await opened(tmp_path)
    (last, *_) = [(await store.keep(Change(entries=(draft("x", "coco"),)))).entries[0].n for _ in range(3)][::-1]
    gone = await store.keep(Change(new=a_receipt("t1", Status.DONE)))
    assert 4 == await store.sweep(tips_before=T0 + 1, entries_before=T0 + 1)
    await store.close()
    again = await opened(tmp_path)
    assert last == await again.last()
    kept = await again.keep(Change(new=accept(a_tip("t2"), T0), entries=(draft("y", "coco"),)))
    assert (last + 1, gone.receipt.seq + 1) == (kept.entries[0].n, kept.receipt.seq)
    assert ["y"] == [one.body["text"] for one in await again.entries(model="coco")]
    await again.close()


async def test_open_tips_are_found_after_a_restart_and_after_a_refusal(tmp_path):
    """Those of the model, by their number, and none that has closed meanwhile."""
    store = await opened(tmp_path)
    await store.keep(Change(model=ModelRecord("coco", "Coco", T0)))
    kept = [(await store.keep(Change(new=accept(a_tip(f"t{n}"), T0)))).receipt for n in range(4)]
    closing_one = store.keep(Change(moved=(move(kept[1], Status.CANCELLED, T0, "x"),)))
    refused = store.keep(Change(moved=(move(kept[2], Status.CANCELLED, T0, "x"),), entries=(draft(object(), "coco"),)))
    await asyncio.gather(closing_one, refused, return_exceptions=True)
    await store.keep(Change(new=accept(a_tip("other", model="mia"), T0)))
    for one in (store, None):
        if one is None:
            await store.close()
            store = await opened(tmp_path)
        assert ["t0", "t2", "t3"] == [receipt.tip.id for receipt in (await store.room("coco"))[1]]
    await store.close()


async def test_a_file_from_before_there_were_chains_is_read(tmp_path):
    """With its indexes by model, its numbers, and a JSON field where a column is now."""
    with closing(apsw.Connection(str(tmp_path / "relay.db"))) as db:
        db.execute(BEFORE)
        db.execute("BEGIN")
        for n in range(1, 201):
            model = MODELS[n % 2]
            tip = (
                f'{{"id":"t{n}","model":"{model}","tipper":"jo","amount":5,"private":{"true" if n == 7 else "false"}}}'
            )
            status, is_open = ("done", 0) if n < 199 else ("accepted", 1)
            db.execute(
                "INSERT INTO tips (id, model, status, open, accepted_at, expires_at, tip, timeline)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (f"t{n}", model, status, is_open, T0, T0 + 9, tip, f'[["{status}",{T0},"x",null]]'),
            )
            db.execute(
                "INSERT INTO entries (model, type, at, body) VALUES (?, 'a', ?, ?)", (model, T0, f'{{"text":"{n}"}}')
            )
        db.execute("DELETE FROM entries WHERE n > 190")
        db.execute("INSERT INTO models VALUES ('mia', 'Mia', ?, NULL, 0, 0, NULL, 1, NULL)", (T0,))
        db.execute("COMMIT")
    store = await opened(tmp_path)
    odd = [str(n) for n in range(1, 191) if n % 2]
    assert odd == [one.body["text"] for one in await store.entries(model="mia")]
    assert odd[40:50] == [one.body["text"] for one in await store.entries(model="mia", after=80, limit=10)]
    assert 151 == await store.before_last(model="mia", count=19)
    assert [f"t{n}" for n in range(1, 201) if n % 2] == [
        one.tip.id for one in await store.receipts(model="mia", limit=500)
    ]
    _, still, hushed = await store.room("mia")
    assert (["t199"], ["t7"]) == ([one.tip.id for one in still], [one.tip.id for one in hushed])
    kept = await store.keep(Change(new=accept(a_tip("new", model="mia"), T0), entries=(draft("new", "mia"),)))
    assert (201, 201) == (kept.receipt.seq, kept.entries[0].n)  # 191 to 200 have been given
    assert [*odd[-2:], "new"] == [one.body["text"] for one in (await store.entries(model="mia"))[-3:]]
    await store.close()
    await (again := await opened(tmp_path)).close()
    assert again.trouble == "closed"


async def test_a_cut_under_way_leaves_a_whole_chain(tmp_path):
    """The oldest go first: whoever reads meanwhile, in whatever pages, or after a crash, finds all that is left."""
    store = await opened(tmp_path)
    await asyncio.gather(*(store.keep(Change(entries=(draft(str(n), "coco"),))) for n in range(400)))
    assert 20 == await store.sweep(tips_before=0, entries_before=0, entries_max=100, limit=20)
    for one in (store, None):
        if one is None:
            await store.close()
            store = await opened(tmp_path)
        assert 20 == (await store.trimmed("coco")).all
        for limit in (1, 64, 1000):
            assert [*range(21, 21 + limit)][:380] == [e.n for e in await store.entries(model="coco", limit=limit)]
        assert 150 == await store.before_last(model="coco", count=250)
    while await store.sweep(tips_before=0, entries_before=0, entries_max=100, limit=90):
        pass
    assert [*range(301, 401)] == [one.n for one in await store.entries(model="coco")]
    await store.close()


async def test_readers_go_on_while_the_file_is_opened_again(tmp_path):
    """What is known by heart is known until it is known anew."""
    store = await opened(tmp_path)
    await store.keep(Change(model=ModelRecord("coco", "Coco", T0)))
    kept = Change(new=accept(a_tip("t1"), T0), entries=(draft("x", "coco"),))
    await store.keep(kept)
    seen: list[tuple[int, int]] = []
    load, ledger = store._ledger.load, store._ledger

    def slowly(db):
        real = db.execute

        class Watched:
            def execute(self, *given):
                seen.append((len(ledger.open_tips("coco")), ledger.entries.head("coco").row))
                return real(*given)

        load(Watched())

    ledger.load = slowly
    await store._writer.do(lambda db: db.execute("PRAGMA max_page_count = 1").fetchall())
    await asyncio.gather(store.keep(Change(entries=(draft("x" * 100_000, "coco"),))), return_exceptions=True)
    while not store.healthy:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert len(seen) > 5
    assert {(1, 1)} == set(seen)
    await store.close()


def test_a_chain_is_followed_in_long_strides():
    """A reader far behind does not go through every row: a thousand rows are some thirty steps away."""
    steps = []
    with closing(apsw.Connection(":memory:")) as db:
        db.execute("CREATE TABLE entries (n INTEGER PRIMARY KEY, k INTEGER, prev INTEGER, far INTEGER)")
        chains = Chains("entries", "n")
        for _ in range(2000):
            link = chains.following("coco")
            db.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", (link.row, link.k, link.prev, link.far))
            chains.add("coco", link)
        chains.committed()
        db.create_scalar_function("step", lambda n: steps.append(n) or n, 1)
        rows = sqlite_chains.page(db, "entries", "step(n)", chains.head("coco"), 1000, 10)
        assert [*range(1001, 1011)] == [n for (n,) in rows]
        assert len(steps) <= 2 * STRIDE
        assert 500 == sqlite_chains.row_at(db, "entries", chains.head("coco"), 500)


BEFORE = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE models (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, created_at REAL NOT NULL, token BLOB, held INTEGER NOT NULL,
    stopped INTEGER NOT NULL, held_since REAL, generation INTEGER NOT NULL, menu TEXT
);
CREATE TABLE tips (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL, status TEXT NOT NULL,
    open INTEGER NOT NULL, accepted_at REAL NOT NULL, expires_at REAL NOT NULL, generation INTEGER, journal TEXT,
    tip TEXT NOT NULL, timeline TEXT NOT NULL
);
CREATE INDEX tips_by_model ON tips (model, seq);
CREATE INDEX tips_private ON tips (model, seq) WHERE json_extract(tip, '$.private') AND NOT open;
CREATE INDEX tips_open ON tips (model, seq) WHERE open;
CREATE TABLE entries (
    n INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, type TEXT NOT NULL, at REAL NOT NULL, body TEXT NOT NULL
);
CREATE INDEX entries_by_model ON entries (model, n);
CREATE TABLE tickets (id TEXT PRIMARY KEY, journal TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
"""
