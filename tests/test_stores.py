"""The contract with a store, over every engine; then what only the one with a disk promises."""

import asyncio
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from unit_kit import T0, a_receipt, a_tip

from relay.errors import StoreUnavailable
from relay.feeds import Draft
from relay.stores import (
    Change,
    Document,
    ModelRecord,
    Trimmed,
    make_store,
    memory,
    sqlite,
    sqlite_copier,
    sqlite_writer,
)
from relay.stores.memory import MemoryStore
from relay.stores.sqlite import SqliteStore
from relay.tips import Status, accept, move

ENGINES = {"memory": lambda folder: MemoryStore(), "sqlite": lambda folder: SqliteStore(str(folder / "relay.db"))}
COCO = ModelRecord("coco", "Coco", T0)


@pytest.fixture(params=ENGINES)
async def store(request, tmp_path):
    """An open store of each engine."""
    store = ENGINES[request.param](tmp_path)
    store.known = []
    store.follow(store.known.extend)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def disk(tmp_path):
    """An open SQLite store."""
    store = SqliteStore(str(tmp_path / "relay.db"))
    await store.open()
    yield store
    await store.close()


def draft(text="hi", model="coco", at=T0):
    return Draft(model, "announcement", at, {"text": text, "source": "vendor"})


async def keep(store, *ids, **fields):
    """Keep new tips, one change each."""
    return [(await store.keep(Change(new=accept(a_tip(id, **fields), T0)))).receipt for id in ids]


def texts(entries):
    return [entry.body["text"] for entry in entries]


# -- tips ----------------------------------------------------------


async def test_a_tip_is_kept_and_numbered(store):
    """By the order of acceptance; what is read back is what was kept."""
    kept = await keep(store, "t1", "t2")
    assert kept == [await store.receipt("t1"), await store.receipt("t2")]
    assert kept[0].seq < kept[1].seq


async def test_everything_of_a_receipt_survives(store):
    """Odd names, great amounts, evidence, every field."""
    tip = a_tip("ü\u202e".encode().hex(), tipper="'; DROP TABLE tips; -- \U0001f600", amount=2**53 - 1, private=True)
    receipt = move(
        accept(tip, T0 + 0.123456), Status.SENT, T0 + 1.5, "why", {"a": [1, None, "é"]}, generation=7, journal="j"
    )
    kept = (await store.keep(Change(new=receipt))).receipt
    found = await store.receipt(tip.id)
    assert (tip, receipt.timeline, 7, "j", receipt.expires_at) == (
        found.tip,
        found.timeline,
        found.generation,
        found.journal,
        found.expires_at,
    )
    assert kept == found


async def test_an_id_is_kept_once(store):
    """The second time nothing of the change is kept, and the first record is told (rule 1)."""
    (first,) = await keep(store, "t1")
    kept = await store.keep(Change(new=accept(a_tip("t1", amount=99), T0 + 9), entries=(draft(),), model=COCO))
    assert (True, first, ()) == (kept.replayed, kept.receipt, kept.entries)
    assert (None, []) == (await store.model("coco"), await store.entries())


async def test_an_id_is_kept_once_in_one_moment(store):
    """Changes handed in together are kept one after the other."""
    futures = [store.keep(Change(new=accept(a_tip("t1", amount=n), T0))) for n in (1, 2, 3)]
    kept = await asyncio.gather(*futures)
    assert ([False, True, True], {1}) == ([one.replayed for one in kept], {one.receipt.tip.amount for one in kept})


async def test_a_step_is_kept_with_its_timeline(store):
    """The status cannot come apart from the step that led to it."""
    (receipt,) = await keep(store, "t1")
    moved = move(receipt, Status.EXPIRED, T0 + 120, "too late")
    await store.keep(Change(moved=(moved,)))
    assert moved == await store.receipt("t1")


async def test_nobody_is_found_where_nobody_is(store):
    """Absence is an answer."""
    assert (None, None, [], None, [], []) == (
        await store.receipt("t1"),
        await store.model("coco"),
        await store.models(),
        await store.room("coco"),
        await store.receipts(),
        await store.receipts(model="coco"),
    )
    assert ([], 0, 0, 0) == (
        await store.entries(),
        await store.before_last(count=5),
        await store.last(),
        (await store.trimmed()).some,
    )


async def test_receipts_are_paged(store):
    """By model, by status, beyond a number, so many."""
    kept = await keep(store, "t1", "t2", "t3")
    await keep(store, "m1", model="mia")
    await store.keep(Change(moved=(move(kept[1], Status.CANCELLED, T0, "x"),)))

    async def ids(**asked):
        return [one.tip.id for one in await store.receipts(**asked)]

    assert ["t1", "t2", "t3", "m1"] == await ids()
    assert ["t2", "t3"] == await ids(model="coco", after=kept[0].seq)
    assert (["t1"], ["t2"], ["m1"]) == (
        await ids(limit=1),
        await ids(status=Status.CANCELLED),
        await ids(model="mia", status=Status.ACCEPTED),
    )


async def test_a_room_is_a_model_and_her_tips_whose_life_goes_on(store):
    """Of one model, by rising number."""
    assert None is await store.room("coco")
    await store.keep(Change(model=ModelRecord("coco", "Coco", 0.0)))
    statuses = list(Status)
    for n, status in enumerate(statuses):
        await store.keep(Change(new=a_receipt(f"t{n}", status)))
    await keep(store, "m1", model="mia")
    closed = {"done", "no_reaction", "cleared", "expired", "cancelled", "failed"}
    assert [s for s in statuses if s not in closed] == [one.status for one in (await store.room("coco"))[1]]


async def test_models_with_open_tips_are_known_by_name(store):
    """By rising id; those whose tips have ended are not among them."""
    assert [] == await store.open_models()
    tips = {"mia": Status.ACCEPTED, "coco": Status.PLAYED, "ann": Status.DONE}
    for model, status in tips.items():
        await store.keep(Change(new=a_receipt(f"t-{model}", status, model=model)))
    assert ["coco", "mia"] == await store.open_models()


async def test_a_room_knows_her_private_tips_that_have_ended(store, monkeypatch):
    """The newest of them, newest first: what is said about them later is nobody's."""
    for engine in (memory, sqlite):
        monkeypatch.setattr(engine, "HUSHED_TIPS_MAX", 3)
    await store.keep(Change(model=COCO))
    for n in range(6):
        await store.keep(Change(new=a_receipt(f"p{n}", Status.DONE, private=True)))
    await store.keep(Change(new=a_receipt("open", Status.PLAYED, private=True)))
    await store.keep(Change(new=a_receipt("public", Status.DONE)))
    await store.keep(Change(new=a_receipt("another's", Status.DONE, private=True, model="mia")))
    assert ["p5", "p4", "p3"] == [one.tip.id for one in (await store.room("coco"))[2]]


# -- models and tickets ----------------------------------------------------------


async def test_a_models_record_is_kept_whole(store):
    """And the newest stands."""
    record = ModelRecord(
        "coco",
        "Cöco",
        T0,
        b"\x00sealed",
        True,
        True,
        T0 + 5,
        7,
        {"levels": [], "specials": {}},
        "de",
        frozenset({"tip", "queue"}),
        frozenset({"online"}),
    )
    await store.keep(Change(model=COCO))
    await store.keep(Change(model=record))
    await store.keep(Change(model=ModelRecord("amy", "Amy", T0)))
    assert (record, ["amy", "coco"]) == (await store.model("coco"), [one.id for one in await store.models()])


async def test_a_document_is_kept_replaced_and_forgotten(store):
    """Documents are found by kind and id; one without a body is forgotten."""
    await store.keep(Change(documents=(Document("account", "b", {"x": 1}), Document("account", "a/=+", {"y": "ü"}))))
    assert [("a/=+", {"y": "ü"}), ("b", {"x": 1})] == [(d.id, d.body) for d in await store.documents("account")]
    await store.keep(Change(documents=(Document("account", "b", {"x": 2}), Document("account", "a/=+", None))))
    assert Document("account", "b", {"x": 2}) == await store.document("account", "b")
    assert (await store.document("account", "a/=+"), await store.document("sink", "b")) == (None, None)
    assert 1 == len(await store.documents("account"))


async def test_a_ticket_belongs_to_the_first_journal_that_shows_it(store):
    """However many show it at once."""
    assert ["j1"] * 3 == await asyncio.gather(*(store.claim("k1", f"j{n}", T0) for n in (1, 2, 3)))
    assert ("j1", "j9") == (await store.claim("k1", "j2", T0), await store.claim("k2", "j9", T0))


# -- entries ----------------------------------------------------------


async def test_entries_are_numbered_and_made_known_in_order(store):
    """Before the future resolves, and exactly as they are read back."""
    kept = await store.keep(Change(entries=(draft("a"), draft("b"))))
    assert list(kept.entries) == store.known == await store.entries()
    futures = [store.keep(Change(entries=(draft(str(n)),))) for n in range(50)]
    await asyncio.gather(*futures)
    assert ["a", "b", *map(str, range(50))] == texts(store.known)
    numbers = [entry.n for entry in store.known]
    assert (sorted(set(numbers)), numbers[-1]) == (numbers, await store.last())


async def test_entries_are_read_by_place(store):
    """Of one model or all, from beyond a number, so many; and where the last so many begin."""
    for n in range(6):
        await store.keep(Change(entries=(draft(str(n), "coco" if n % 2 == 0 else "mia"),)))
    second = store.known[1].n
    assert ["2", "3"] == texts(await store.entries(after=second, limit=2))
    assert ["0", "2", "4"] == texts(await store.entries(model="coco"))
    ns = [entry.n for entry in store.known]
    assert [ns[0], ns[3], 0, 0] == [
        await store.before_last(model="coco", count=2),
        await store.before_last(count=2),
        await store.before_last(count=6),
        await store.before_last(model="nobody", count=2),
    ]


async def test_an_empty_change_waits_for_those_before_it(store):
    """The hub asks so whether everything is kept."""
    before = store.keep(Change(new=accept(a_tip("t1"), T0)))
    await store.keep(Change())
    assert before.done()


async def test_a_cursor_names_its_store(store, tmp_path):
    """In letters that a cursor can hold, and another store's are others."""
    other = ENGINES["memory"](tmp_path)
    assert store.epoch.isalnum()
    assert store.epoch != other.epoch


async def test_a_working_store_is_healthy(store):
    """And has no trouble to tell."""
    assert (True, "") == (store.healthy, store.trouble)


# -- retention ----------------------------------------------------------


async def test_a_sweep_forgets_what_is_old_and_closed(store):
    """Open tips stay however old they are, and young ones whatever they are."""
    for id, status, at in (("old", Status.DONE, T0), ("open", Status.UNCERTAIN, T0), ("new", Status.DONE, T0 + 100)):
        await store.keep(Change(new=a_receipt(id, status, at=at)))
    assert 1 == await store.sweep(tips_before=T0 + 50, entries_before=0)
    assert ["open", "new"] == [one.tip.id for one in await store.receipts()]
    assert not (await store.keep(Change(new=accept(a_tip("old"), T0)))).replayed


async def test_a_sweep_says_how_far_it_came(store):
    """What is trimmed can be told from what never was, and numbers go on rising."""
    for n in range(4):
        await store.keep(Change(entries=(draft(str(n), at=T0 + n),)))
    assert 2 == await store.sweep(tips_before=0, entries_before=T0 + 2)
    assert (Trimmed(store.known[1].n, store.known[1].n), ["2", "3"]) == (
        await store.trimmed(),
        texts(await store.entries()),
    )
    assert 2 == await store.sweep(tips_before=0, entries_before=T0 + 9)
    last = store.known[-1].n
    assert (Trimmed(last, last), last) == (await store.trimmed("coco"), await store.last())
    assert last < (await store.keep(Change(entries=(draft(),)))).entries[0].n


async def test_a_sweep_has_a_size(store):
    """It does not hold up the tips."""
    for n in range(5):
        await store.keep(Change(new=a_receipt(f"t{n}", Status.DONE), entries=(draft(str(n)),)))
    swept = [await store.sweep(tips_before=T0 + 1, entries_before=T0 + 1, limit=2) for _ in range(4)]
    assert [4, 4, 2, 0] == swept


async def test_a_sweep_keeps_the_newest_entries_of_each_model(store):
    """Who says very much takes no room from others, and what has gone of hers can be told for her feed and for all."""
    for n in range(6):
        await store.keep(Change(entries=(draft(f"c{n}"),)))
    await store.keep(Change(entries=(draft("m", model="mia"),)))
    gone = store.known[3].n
    assert [3, 1, 0] == [await store.sweep(tips_before=0, entries_before=0, entries_max=2, limit=3) for _ in range(3)]
    assert ["c4", "c5", "m"] == texts(await store.entries())
    assert [Trimmed(gone, gone), Trimmed(), Trimmed(0, gone)] == [
        await store.trimmed("coco"),
        await store.trimmed("mia"),
        await store.trimmed(),
    ]
    assert 3 == await store.sweep(tips_before=0, entries_before=T0 + 1, entries_max=2)
    last = store.known[-1].n
    assert [Trimmed(last, last)] * 2 == [await store.trimmed("coco"), await store.trimmed()]


# -- only with a disk ----------------------------------------------------------


async def test_a_file_from_before_models_had_words_is_read(tmp_path):
    """Its models have none yet, and may be given some."""
    first = make_store(f"sqlite:///{tmp_path}/relay.db")
    await first.open()
    await first.keep(Change(model=COCO))
    await first.close()
    with closing(apsw.Connection(str(tmp_path / "relay.db"))) as db:
        db.execute("ALTER TABLE models DROP COLUMN words")
    again = SqliteStore(str(tmp_path / "relay.db"))
    await again.open()
    assert COCO == await again.model("coco")
    await again.keep(Change(model=replace(COCO, language="de")))
    assert "de" == (await again.model("coco")).language
    await again.close()


async def test_what_was_kept_survives(tmp_path):
    """Tips, models, entries, tickets, numbers and the epoch, over close and open."""
    first = make_store(f"sqlite:///{tmp_path}/relay.db")
    await first.open()
    (receipt,) = await keep(first, "t1")
    await first.keep(Change(entries=(draft(),), model=COCO))
    await first.claim("k1", "j1", T0)
    epoch, last = first.epoch, await first.last()
    await first.close()
    again = SqliteStore(str(tmp_path / "relay.db"))
    await again.open()
    assert (receipt, COCO, epoch, last) == (
        await again.receipt("t1"),
        await again.model("coco"),
        again.epoch,
        await again.last(),
    )
    assert ("j1", True) == (await again.claim("k1", "j2", T0), (await again.keep(Change(new=receipt))).replayed)
    assert last < (await again.keep(Change(entries=(draft(),)))).entries[0].n
    await again.close()


async def test_another_database_has_another_epoch(tmp_path):
    """A cursor of one is not a place in the other."""
    stores = [SqliteStore(str(tmp_path / name)) for name in ("a.db", "b.db")]
    for store in stores:
        await store.open()
    assert stores[0].epoch != stores[1].epoch
    for store in stores:
        await store.close()


async def test_a_kept_change_is_on_the_disk(disk, tmp_path):
    """With a log that is synced at every commit, another reader sees it at once."""
    await keep(disk, "t1")
    other = apsw.Connection(f"{tmp_path}/relay.db", flags=apsw.SQLITE_OPEN_READONLY)
    assert [("t1",)] == other.execute("SELECT id FROM tips").fetchall()
    other.close()
    pragmas = await disk._writer.do(
        lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    )
    assert ["wal", 2] == pragmas


async def test_whoever_comes_while_another_relay_lets_go_waits(disk, tmp_path):
    """At a takeover nobody is refused: writes and reads are done once the file is there."""
    await keep(disk, "t1")
    second = SqliteStore(str(tmp_path / "relay.db"))
    await second.open()
    waiting = [asyncio.ensure_future(one) for one in (second.keep(Change(model=COCO)), second.receipt("t1"))]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting[1]), 0.05)
    await disk.close()
    _, receipt = await asyncio.gather(*waiting)
    assert ("t1", COCO) == (receipt.tip.id, await second.model("coco"))
    await second.close()


async def test_closing_does_not_wait_for_a_file_that_never_comes(disk, tmp_path):
    """Who waited is refused, and the end is at once."""
    second = SqliteStore(str(tmp_path / "relay.db"))
    await second.open()
    waiting = second.keep(Change(model=COCO))
    async with asyncio.timeout(1):
        await second.close()
    with pytest.raises(StoreUnavailable):
        await waiting


async def test_a_second_relay_waits_for_the_file(disk, tmp_path, monkeypatch):
    """It opens, is not healthy, keeps nothing once its patience is over, and takes over when the first lets go."""
    monkeypatch.setattr(sqlite_writer, "OPENING_SECONDS", 0.0)
    second = SqliteStore(str(tmp_path / "relay.db"))
    await second.open()
    assert (False, True) == (second.healthy, "another relay" in second.trouble)
    for attempt in (second.keep(Change(model=COCO)), second.model("coco"), second.claim("k", "j", T0)):
        with pytest.raises(StoreUnavailable) as refusal:
            await attempt
        assert 1 == refusal.value.retry_after
    await keep(disk, "t1")
    await disk.close()
    await recovered(second)
    assert "t1" == (await second.receipt("t1")).tip.id
    await second.close()


async def test_one_bad_change_harms_no_other(disk):
    """In one commit group: it alone is refused, and nothing of it is kept."""
    good = [store_later(disk, f"t{n}") for n in range(5)]
    bad = disk.keep(Change(new=accept(a_tip("bad"), T0), entries=(Draft("coco", "x", T0, {"text": object()}),)))
    good += [store_later(disk, f"t{n}") for n in range(5, 10)]
    with pytest.raises(TypeError):
        await bad
    await asyncio.gather(*good)
    assert [f"t{n}" for n in range(10)] == [one.tip.id for one in await disk.receipts()]
    assert (True, None) == (disk.healthy, await disk.receipt("bad"))


async def test_the_log_begins_anew_beside_readers_that_never_rest(tmp_path, monkeypatch):
    """They are waited for, each for what it reads just then."""
    monkeypatch.setattr(sqlite_copier, "COPY_PAGES", 20)
    monkeypatch.setattr(sqlite_copier, "REST_PAGES", 5)
    store = SqliteStore(str(tmp_path / "relay.db"))
    await store.open()

    async def read_on():
        while True:
            await store.entries(limit=100)

    readers = [asyncio.create_task(read_on()) for _ in range(2)]
    await kept_until_the_log_began_anew(store, "t", times=3)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    await store.close()


async def test_a_listener_that_fails_stops_nobody(disk):
    """Neither one who follows the feed nor one who handed a change in; the loop's own handler hears of it."""
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    disk.follow(lambda entries: 1 / 0)
    disk.hand_in(Change(entries=(draft(),)), lambda kept: 1 / 0)
    await keep(disk, "t1")
    asyncio.get_running_loop().set_exception_handler(None)
    assert [ZeroDivisionError, ZeroDivisionError] == [type(fault) for fault in faults]


async def test_a_fault_of_ours_behind_the_commit_leaves_nobody_waiting(disk, monkeypatch):
    """Everybody of that group is told to try again; what was kept is there, and the retry finds it."""
    with monkeypatch.context() as patched:
        patched.setattr(disk._ledger, "committed", lambda: 1 / 0)
        group = [store_later(disk, f"t{n}") for n in range(3)]
        async with asyncio.timeout(2):
            told = await asyncio.gather(*group, return_exceptions=True)
    assert [StoreUnavailable] * 3 == [type(one) for one in told]
    await recovered(disk)
    again = [await store_later(disk, f"t{n}") for n in range(4)]
    assert [True, True, True, False] == [kept.replayed for kept in again]


async def test_each_is_told_once_also_where_the_file_cannot_be_opened_again(disk, monkeypatch):
    """A second fault, in opening it, is nothing to those who were told of the first."""
    told = []
    with monkeypatch.context() as patched:
        patched.setattr(disk._ledger, "committed", lambda: 1 / 0)
        patched.setattr(disk._ledger, "load", lambda _: 1 / 0)
        disk.hand_in(Change(new=accept(a_tip("t1"), T0)), told.append)
        async with asyncio.timeout(5):
            for number in range(4):  # the file is tried once more before each of them hears
                with pytest.raises(StoreUnavailable):
                    await store_later(disk, f"later{number}")
    assert [StoreUnavailable] == [type(one) for one in told]
    await recovered(disk)


async def test_a_sweep_that_is_refused_is_made_up_for(disk):
    """What a full disk kept from going goes later."""
    for n in range(6):
        await disk.keep(Change(entries=(draft(f"c{n}"),)))

    def refuse(db, limit):
        raise apsw.FullError("database or disk is full")

    sweep, disk._surplus.sweep = disk._surplus.sweep, refuse
    with pytest.raises(StoreUnavailable):
        await disk.sweep(tips_before=0, entries_before=0, entries_max=2)
    disk._surplus.sweep = sweep
    await recovered(disk)
    assert 4 == await disk.sweep(tips_before=0, entries_before=0, entries_max=2)
    assert ["c4", "c5"] == texts(await disk.entries(model="coco"))


async def test_work_that_ends_the_transaction_itself_ends_nothing_else(disk):
    """Its error is told, and the next change is kept."""

    def work(db):
        db.execute("ROLLBACK")
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await disk._writer.do(work)
    await keep(disk, "t1")


async def test_a_full_disk_refuses_everything_and_recovers(disk):
    """Nothing half is kept, and the tip that comes when there is room again is."""
    (kept,) = await keep(disk, "t1")
    known = []
    disk.follow(known.extend)
    await disk._writer.do(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone())
    with pytest.raises(StoreUnavailable):
        await disk.keep(Change(new=accept(a_tip("t2"), T0), entries=(draft("x" * 100_000),)))
    await recovered(disk)
    assert ([kept], [], []) == (await disk.receipts(), await disk.entries(), known)
    await keep(disk, "t2")
    await disk.keep(Change(entries=(draft("x" * 100_000),)))
    assert (2, 1) == (len(await disk.receipts()), len(await disk.entries()))


async def test_a_missing_folder_is_trouble_until_it_is_there(tmp_path):
    """The relay starts all the same and goes on trying."""
    store = SqliteStore(str(tmp_path / "gone" / "relay.db"))
    await store.open()
    assert (False, True) == (store.healthy, bool(store.trouble))
    with pytest.raises(StoreUnavailable):
        store.epoch  # noqa: B018
    (tmp_path / "gone").mkdir()
    await recovered(store)
    await keep(store, "t1")
    await store.close()


async def test_a_file_that_is_no_database_is_trouble(tmp_path):
    """It is left as it is."""
    (tmp_path / "relay.db").write_text("dear diary " * 1000)
    store = SqliteStore(str(tmp_path / "relay.db"))
    await store.open()
    with pytest.raises(StoreUnavailable, match="not a database"):
        await store.keep(Change(model=COCO))
    await store.close()
    assert (tmp_path / "relay.db").read_text().startswith("dear diary")


async def test_a_closed_store_keeps_what_was_handed_in_and_refuses_the_rest(tmp_path):
    """And closing twice is closing."""
    store = SqliteStore(str(tmp_path / "relay.db"))
    await store.open()
    futures = [store_later(store, f"t{n}") for n in range(20)]
    await store.close()
    assert 20 == len(await asyncio.gather(*futures))
    with pytest.raises(StoreUnavailable):
        await keep(store, "late")
    await store.close()


async def test_an_abandoned_wait_is_kept_all_the_same(disk):
    """Whoever hung up does not undo it."""
    store_later(disk, "t1").cancel()
    await disk.keep(Change())
    assert "t1" == (await disk.receipt("t1")).tip.id


async def test_readers_do_not_wait_for_the_writer(disk):
    """A long write is no reason not to read."""
    await keep(disk, "t1")
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(db):
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(5)

    writing = asyncio.ensure_future(disk._writer.do(slow, aside=True))
    assert "t1" == (await disk.receipt("t1")).tip.id
    gate.set()
    await writing


async def test_the_log_is_copied_while_groups_go_on(tmp_path, monkeypatch):
    """It does not grow for ever, nothing is lost, and whoever closes in the middle of a copy loses nothing either."""
    monkeypatch.setattr(sqlite_copier, "COPY_PAGES", 20)
    monkeypatch.setattr(sqlite_copier, "REST_PAGES", 5)
    path, kept = tmp_path / "relay.db", 0
    for life in range(3):
        store = SqliteStore(str(path))
        await store.open()
        kept += await kept_until_the_log_began_anew(store, f"t{life}", times=2)
        await store.close()
    with closing(apsw.Connection(str(path))) as db:
        assert [("ok",)] == db.execute("PRAGMA integrity_check").fetchall()
        assert [(kept, kept)] == db.execute("SELECT (SELECT count(*) FROM tips), count(*) FROM entries").fetchall()


async def kept_until_the_log_began_anew(store, prefix, times):
    """Groups one after the other, nobody resting in between, and how many tips they were. Where the machine is busy the
    copier takes its time, so it is not asked for within some number of bytes."""
    seen = set()
    for group in range(5000):
        tips = [accept(a_tip(f"{prefix}-{group}-{n}"), T0) for n in range(20)]
        await asyncio.gather(*(store.keep(Change(new=tip, entries=(draft("x" * 500),))) for tip in tips))
        seen.add(times_begun(Path(f"{store._path}-wal")))
        if len(seen) > times and group >= 60:
            return 20 * (group + 1)
    raise AssertionError(f"the log began anew {len(seen) - 1} times")


def times_begun(log):
    """The header's checkpoint sequence number (sqlite.org/fileformat2.html#walformat)."""
    with log.open("rb") as file:
        return file.read(16)[12:]


def store_later(store, id):
    return store.keep(Change(new=accept(a_tip(id), T0)))


async def recovered(store):
    """Until the store has found its way back."""
    async with asyncio.timeout(5):
        while not store.healthy:  # noqa: ASYNC110 - the writer thread tells nobody
            await asyncio.sleep(0.01)
