"""Sinks: the feed posted to a platform's receiver, signed, in order, over days of trouble and restarts."""

import asyncio
import http.server
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from kit import ENCRYPTION_KEY, FEED_KEY, TIPS_KEY, Platform, eventually, serving, serving_coco, with_settings
from sinks_kit import SINK_SETTINGS, longest_wait, make_sink, receiving
from structlog.testing import capture_logs

from relay import couriers, receivers, sinks
from relay.feeds import Draft
from relay.secret import Secret
from relay.sinks import SCHEDULE
from relay.stores import Change
from relay.stores.sqlite import SqliteStore

DAY = 86_400.0
ROOT = Path(__file__).parents[1]


@pytest.fixture
def settings():
    return SINK_SETTINGS


@pytest.fixture
async def receiver():
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def sink(platform, receiver):
    return await make_sink(platform, receiver.url)


async def say(relay, *texts, model="coco", private=False):
    """Entries for the feed, one change each."""
    for text in texts:
        body = {"text": text, "source": "vendor"} | ({"private": True} if private else {})
        await relay.wiring.store.keep(Change(entries=(Draft(model, "announcement", relay.wiring.clock.now(), body),)))


def pass_time(relay, seconds):
    relay.wiring.clock.tick(seconds)
    relay.wiring.deliveries.look()


# -- what a receiver gets ----------------------------------------------------------


async def test_a_tip_reaches_the_sink_as_the_feed_has_it(relay, platform, receiver, sink):
    """Type, timestamp and data; the id is the entry's, and so is the data."""
    async with relay.feed() as feed:
        await platform.accepted("t1")
        entry = await feed.next("tip")
    (came, *_) = await receiver.until(1)
    assert {"type": "tip", "timestamp": entry["at"], "data": entry} == came.envelope
    assert (entry["id"], "/hook?x=1", "application/json") == (came.id, came.path, came.headers["content-type"])


async def test_every_request_is_signed(relay, receiver, sink, clock):
    """As the specification says, with the secret that was shown once, at the time of the try."""
    await say(relay, "hi \U0001f600")
    (came,) = await receiver.until(1)
    assert came.signed_with(sink.secret)
    assert str(int(clock.now())) == came.headers["webhook-timestamp"]
    assert not came.signed_with("whsec_" + "A" * 43 + "=")


async def test_entries_come_in_order_and_once(relay, receiver, sink):
    """One after the other, over one connection."""
    texts = [f"m{n}" for n in range(500)]
    await say(relay, *texts)
    await receiver.until(500)
    assert texts == receiver.texts
    assert 1 == receiver.connections


async def test_a_sink_begins_with_what_comes_next(relay, platform, receiver):
    """What was said before it was made is history."""
    await say(relay, "before")
    sink = await make_sink(platform, receiver.url)
    await say(relay, "after")
    await receiver.until(1)
    assert ["after"] == receiver.texts
    await sink.until(lambda shown: 0 == shown["lag"])


async def test_a_sink_gets_the_types_and_models_it_asked_for(relay, platform, receiver):
    """And is not behind for what was never its own."""
    await platform.register("kim", "Kim")
    sink = await make_sink(platform, receiver.url, types=["announcement"], models=["kim"])
    await say(relay, "coco's")
    await platform.accepted("t1", model="kim")
    await say(relay, "kim's", model="kim")
    await say(relay, "coco's again")
    await receiver.until(1)
    assert ["kim's"] == receiver.texts
    relay.wiring.deliveries.look()
    await sink.until(lambda shown: 0 == shown["lag"])


async def test_an_audience_sees_what_is_its_own(relay, platform, receiver):
    """A chat's sink hears nothing private, and of an anonymous tip only the alias."""
    await make_sink(platform, receiver.url, audience="chat")
    await say(relay, "for john only", private=True)
    await platform.accepted("t1", "a-real-name", anonymous=True)
    await platform.accepted("t2", "a-real-name", private=True)
    await say(relay, "for all")
    await eventually(lambda: receiver.came and receiver.came[-1].data.get("text") == "for all", "the last one")
    assert ["tip", "announcement"] == [one.envelope["type"] for one in receiver.came]
    assert "Anonymous" == receiver.came[0].data["tipper"]
    assert not [one for one in receiver.came if b"a-real-name" in one.body]


async def test_a_test_message_is_posted_at_once(relay, platform, receiver, sink):
    """Signed; the platform sees what its receiver said; the sink stands as before."""
    assert {"status": 204, "taken": True, "why": None}.items() <= (await sink.order("test")).items()
    assert ("test", True) == (receiver.came[0].envelope["type"], receiver.came[0].signed_with(sink.secret))
    before = await sink.shows()
    receiver.answers = [503]
    assert (False, "HTTP 503") == ((said := await sink.order("test"))["taken"], said["why"])
    assert before == await sink.shows()
    assert receiver.ids[0] != receiver.ids[1]


# -- trouble ----------------------------------------------------------


async def test_a_failure_is_tried_again_with_the_same_id(relay, receiver, sink):
    """After five seconds, and what came behind it waits: order is kept."""
    receiver.answers = [500]
    await say(relay, "one", "two")
    shown = await sink.until(lambda shown: shown["state"] == "failing")
    assert (1, 500, "HTTP 500", 2) == (shown["tries"], shown["last"]["status"], shown["last"]["why"], shown["lag"])
    pass_time(relay, longest_wait(1))
    await receiver.until(3)
    assert ["one", "one", "two"] == receiver.texts
    assert receiver.ids[0] == receiver.ids[1] != receiver.ids[2]
    shown = await sink.until(lambda shown: 0 == shown["lag"])
    assert ("active", None, 0) == (shown["state"], shown["failing_since"], shown["tries"])


async def test_ten_tries_over_three_days_then_it_is_disabled(relay, platform, receiver, sink, clock):
    """The schedule of Standard Webhooks; never before its time; then GET, log and metric say so, and it rests."""
    receiver.answers = [500] * 20
    began = clock.now()
    with capture_logs() as logs:
        await say(relay, "one")
        for tries in range(1, len(SCHEDULE)):
            await sink.until(lambda shown, tries=tries: shown["tries"] == tries)
            for share in (0.5, 0.499, 0.11):  # looked at before its time, too
                pass_time(relay, share * SCHEDULE[tries])
                await sink.shows()
        shown = await sink.until(lambda shown: shown["state"] == "disabled")
    at = [int(one.headers["webhook-timestamp"]) for one in receiver.came]
    waits = [after - before for before, after in pairwise(at)]
    assert len(SCHEDULE) == len(at)
    assert all(due - 1 <= wait for due, wait in zip(SCHEDULE[1:], waits, strict=True)), waits
    assert 3 * DAY < clock.now() - began < 4 * DAY
    assert "10 tries in a row failed, the last: HTTP 500" == shown["why"]
    assert (1, None) == (shown["lag"], shown["again_at"])
    assert ["sink failing", "sink disabled"] == [one["event"] for one in logs if "sink" in one]
    metrics = (await platform.http.get("/metrics")).text
    assert "\nrelay_sinks_disabled 1.0\n" in metrics
    assert 200 == (await platform.http.get("/readyz")).status_code
    pass_time(relay, 30 * DAY)
    await say(relay, "two")
    assert len(SCHEDULE) == len(receiver.came)


async def test_an_enabled_sink_goes_on_where_it_was(relay, receiver, sink):
    """At once, nothing left out."""
    receiver.answers = [410]
    await say(relay, "one", "two")
    shown = await sink.until(lambda shown: shown["state"] == "disabled")
    assert "410" in shown["why"]
    shown = await sink.order("enable")
    assert ("active", None, 0) == (shown["state"], shown["why"], shown["tries"])
    await receiver.until(3)
    assert ["one", "one", "two"] == receiver.texts


@pytest.mark.parametrize(
    ("header", "seconds"), [("60", 60), ("2", 5), ("99999999999999", DAY), ("soon", 5), ("-1", 5), ("", 5)]
)
async def test_a_receiver_may_ask_for_time(relay, receiver, sink, clock, header, seconds):
    """`Retry-After` counts where it is longer than our own wait, and up to a day."""
    receiver.answers = [(503, {"Retry-After": header})]
    await say(relay, "one")
    await sink.until(lambda shown: shown["tries"] == 1)
    at = relay.wiring.deliveries.sinks[0].again_at - clock.now()
    assert seconds <= at <= max(seconds, 5 * 1.1)


async def test_a_redirect_is_not_followed(relay, receiver, sink):
    """It counts as failed, and the sink says what to do."""
    async with receiving() as elsewhere:
        receiver.answers = [(307, {"Location": elsewhere.url})]
        await say(relay, "one")
        shown = await sink.until(lambda shown: shown["state"] == "failing")
        assert "redirects are not followed" in shown["last"]["why"]
        assert [] == elsewhere.came


async def test_an_endless_answer_is_not_read_to_its_end(relay, receiver, sink, monkeypatch):
    """The status counts; the connection is closed."""
    receiver.tail = b"x" * 1_000_000
    receiver.answers = [(200, {"Content-Length": "100000000000"})] * 2
    await say(relay, "one", "two")
    await sink.until(lambda shown: 0 == shown["lag"])
    assert (["one", "two"], 2) == (receiver.texts, receiver.connections)


async def test_an_answer_that_does_not_end_counts_all_the_same(relay, receiver, sink, monkeypatch):
    """Its head came in time."""
    monkeypatch.setattr(receivers, "SECONDS_MAX", 0.2)
    receiver.answers = [(200, {"Content-Length": "10"})]
    await say(relay, "one")
    await sink.until(lambda shown: 0 == shown["lag"])


async def test_a_stuck_receiver_delays_nobody_else(relay, platform, receiver, sink):
    """It waits for its answer, the others have theirs."""
    async with receiving() as stuck:
        stuck.hanging = True
        await make_sink(platform, stuck.url)
        texts = [f"m{n}" for n in range(50)]
        await say(relay, *texts)
        await receiver.until(50)
        assert (texts, ["m0"]) == (receiver.texts, stuck.texts)


async def test_no_answer_in_time_is_a_failure(relay, receiver, sink, monkeypatch):
    """The wait ends."""
    monkeypatch.setattr(receivers, "SECONDS_MAX", 0.1)
    receiver.hanging = True
    await say(relay, "one")
    shown = await sink.until(lambda shown: shown["state"] == "failing")
    assert (None, "no answer in time") == (shown["last"]["status"], shown["last"]["why"])


async def test_requests_under_way_are_bounded(relay, platform, receiver):
    """Twelve sinks of a hanging receiver: eight requests, and no ninth until one ends."""
    receiver.hanging = True
    for _ in range(12):
        await make_sink(platform, receiver.url)
    await say(relay, "one")
    await receiver.until(couriers.REQUESTS_MAX)
    await relay.flushed()
    assert couriers.REQUESTS_MAX == len(receiver.came) == receiver.connections


async def test_receivers_that_failed_leave_room_for_the_others(relay, platform, receiver, sink, monkeypatch):
    """Twelve that hang again hold four requests; whoever is well is served beside them."""
    async with receiving() as stuck:
        stuck.hanging = True
        monkeypatch.setattr(receivers, "SECONDS_MAX", 0.1)
        hung = [await make_sink(platform, stuck.url) for _ in range(12)]
        await say(relay, "one")
        for one in hung:
            await one.until(lambda shown: shown["state"] == "failing")
        monkeypatch.setattr(receivers, "SECONDS_MAX", 60.0)
        pass_time(relay, longest_wait(1))
        await stuck.until(12 + couriers.RETRIES_MAX)
        await say(relay, "two", "three")
        await receiver.until(3)
        assert (["one", "two", "three"], 12 + couriers.RETRIES_MAX) == (receiver.texts, len(stuck.came))


async def test_a_receiver_that_is_not_there_is_a_failure(relay, platform, receiver):
    """And says how it could not be reached."""
    async with receiving() as gone:
        url = gone.url
    sink = await make_sink(platform, url)
    await say(relay, "one")
    shown = await sink.until(lambda shown: shown["state"] == "failing")
    assert "no connection: ConnectError" == shown["last"]["why"]


# -- retention ----------------------------------------------------------


async def test_what_retention_took_is_told_as_a_gap(relay, receiver, sink, clock):
    """Before what is still there, with the place where the sink was."""
    receiver.answers = [410]
    await say(relay, "one", "two")
    before = await sink.until(lambda shown: shown["state"] == "disabled")
    clock.tick(8 * DAY)
    await relay.wiring.store.sweep(tips_before=0, entries_before=clock.now() - 7 * DAY)
    await say(relay, "three")
    await sink.order("enable")
    _, gap, three = await receiver.until(3)
    assert ("gap", before["cursor"]) == (gap.data["type"], gap.data["after"])
    assert gap.id == f"gap-{before['cursor']}-{gap.data['until'].rpartition('-')[2]}"
    assert (True, "three") == (gap.signed_with(sink.secret), three.data["text"])


async def test_what_was_not_for_a_sink_leaves_no_gap(relay, platform, receiver, clock):
    """Retention takes what it passed over, also across a restart."""
    sink = await make_sink(platform, receiver.url, types=["model"])
    await say(relay, "one", "two")
    pass_time(relay, couriers.LOOK_SECONDS)
    await sink.until(lambda shown: 0 == shown["lag"])
    clock.tick(8 * DAY)
    await relay.wiring.store.sweep(tips_before=0, entries_before=clock.now() - 7 * DAY)
    kept = await relay.wiring.store.document("sink", sink.id)
    assert kept.body["cursor"] == (await relay.wiring.store.trimmed()).all


# -- over the relay's life ----------------------------------------------------------


async def test_a_sink_goes_on_after_a_restart(tmp_path, clock, receiver):
    """From behind the last 2xx: nothing twice, nothing left out; tries and secret are as they were."""
    path = str(tmp_path / "relay.db")
    async with serving_coco(SINK_SETTINGS, clock, store=SqliteStore(path)) as relay:
        sink = await make_sink(relay.platform, receiver.url)
        receiver.answers = [204, 204, 500]
        await say(relay, "one", "two", "three", "four")
        before = await sink.until(lambda shown: shown["state"] == "failing")
    async with serving(SINK_SETTINGS, clock, store=SqliteStore(path)) as relay:
        again = (await relay.platform.http.get(f"/sinks/{sink.id}")).json()
        assert before == again
        assert 3 == len(receiver.came)
        pass_time(relay, longest_wait(1))
        await receiver.until(5)
        assert ["one", "two", "three", "three", "four"] == receiver.texts
        assert all(one.signed_with(sink.secret) for one in receiver.came)


async def test_kill_9_loses_nothing(relay_process, receiver):
    """A relay killed while it delivers: the next one goes on exactly behind the last 2xx."""
    environment = {"RELAY_SINKS_PRIVATE": "allow", "RELAY_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
    process = relay_process(**environment)
    async with await process.start() as platform:
        await platform.register()
        sink = await make_sink(platform, receiver.url, types=["tip"])
        for n in range(20):
            await platform.accepted(f"a{n}")
        await sink.until(lambda shown: shown["last"] and shown["last"]["message"] == receiver.ids[-1])
        await receiver.until(20)
        await sink.until(lambda shown: 0 == shown["lag"])
        receiver.hanging = True
        await platform.accepted("b0")
        await platform.accepted("b1")
        await receiver.until(21)
        await process.kill()
    receiver.hanging = False
    async with await relay_process(**environment).start():
        await receiver.until(23)
    tips = [one.data["tip"] for one in receiver.came]
    assert [*(f"a{n}" for n in range(20)), "b0", "b0", "b1"] == tips
    assert receiver.ids[20] == receiver.ids[21]
    assert all(one.signed_with(sink.secret) for one in receiver.came)


async def test_sinks_end_with_the_relay(clock, receiver):
    """What is under way has the drain time to end; the answer still counts."""
    async with serving_coco(SINK_SETTINGS, clock) as relay:
        await make_sink(relay.platform, receiver.url)
        receiver.hanging = True
        await say(relay, "one")
        await receiver.until(1)
        closing = asyncio.create_task(relay.wiring.deliveries.close(0.05))
        await say(relay, "two")
        await closing
        assert ["one"] == receiver.texts
        assert "active" == relay.wiring.deliveries.sinks[0].state


@pytest.mark.parametrize(("drain", "heard"), [("0.3", ["t1", "t1"]), ("20", ["t1"])])
async def test_sigterm_ends_what_is_under_way(relay_process, receiver, drain, heard):
    """Within the drain time it may end by itself, and counts; what is stuck is cut, and the next relay sends it."""
    environment = {"RELAY_SINKS_PRIVATE": "allow", "RELAY_ENCRYPTION_KEYS": ENCRYPTION_KEY}
    process = relay_process(**environment, RELAY_DRAIN_SECONDS=drain)
    async with await process.start() as platform:
        await platform.register()
        await make_sink(platform, receiver.url, types=["tip"])
        receiver.slow = True
        await platform.accepted("t1")
        await receiver.until(1)
        process.terminate()
        if len(heard) == 1:
            receiver.slow = False
            receiver.let_go()
        assert 0 == await process.ended()
    receiver.slow = False
    async with await relay_process(**environment).start() as platform:
        await platform.accepted("t2")
        await eventually(lambda: receiver.came[-1].data["tip"] == "t2", "the next tip")
    assert [*heard, "t2"] == [one.data["tip"] for one in receiver.came]


async def test_a_store_that_fails_for_a_while_sends_nothing_twice(relay, receiver, sink, monkeypatch):
    """The answer is kept as soon as it can be; nothing is sent meanwhile."""
    monkeypatch.setattr(couriers, "KEEP_AGAIN_SECONDS", 0.01)
    keep, broken = relay.wiring.store.keep, []

    def moody(change):
        if change.documents and len(broken) < 3:
            broken.append(change)
            raise couriers.StoreUnavailable("out of order")
        return keep(change)

    monkeypatch.setattr(relay.wiring.store, "keep", moody)
    await say(relay, "one", "two")
    await sink.until(lambda shown: 0 == shown["lag"])
    assert (["one", "two"], 3) == (receiver.texts, len(broken))


# -- secrets ----------------------------------------------------------


async def test_an_old_secret_signs_along_for_a_day(relay, receiver, sink):
    """Both during the day, then only the new one."""
    rotated = await sink.order("rotate")
    assert rotated["secret"] != sink.secret
    assert rotated["old_secret_until"] is not None
    await say(relay, "one")
    await receiver.until(1)
    pass_time(relay, DAY + 1)
    await say(relay, "two")
    one, two = await receiver.until(2)
    assert (True, True) == (one.signed_with(sink.secret), one.signed_with(rotated["secret"]))
    assert (False, True) == (two.signed_with(sink.secret), two.signed_with(rotated["secret"]))


async def test_secrets_are_shown_once_and_kept_sealed(tmp_path, clock, receiver):
    """Not in GET, not in a log, not in the file."""
    path = tmp_path / "relay.db"
    with capture_logs() as logs:
        async with serving_coco(SINK_SETTINGS, clock, store=SqliteStore(str(path))) as relay:
            sink = await make_sink(relay.platform, receiver.url)
            rotated = (await sink.order("rotate"))["secret"]
            receiver.answers = [500]
            await say(relay, "one")
            await sink.until(lambda shown: shown["state"] == "failing")
            shown = (await relay.platform.http.get("/sinks")).text + (await relay.platform.http.get("/metrics")).text
            told = shown + repr(logs) + repr(relay.wiring.deliveries.sinks)
    files = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    for secret in (sink.secret, rotated):
        bare = secret.removeprefix("whsec_")
        assert bare not in told
        assert bare.encode() not in files


async def test_a_sink_needs_a_key_to_seal_its_secret(clock, receiver):
    """Said when it is asked for, with the setting's name; nothing is kept."""
    async with serving_coco(with_settings(sinks_private="allow"), clock) as relay:
        answer = await relay.platform.http.post("/sinks", json={"url": receiver.url})
        assert (500, "misconfigured") == (answer.status_code, answer.json()["type"])
        assert "RELAY_ENCRYPTION_KEYS" in answer.json()["detail"]
        assert {"sinks": []} == (await relay.platform.http.get("/sinks")).json()


async def test_a_key_that_went_away_shows(tmp_path, clock, receiver):
    """The sink says which setting; nothing is lost once the key is back."""
    path = str(tmp_path / "relay.db")
    async with serving_coco(SINK_SETTINGS, clock, store=SqliteStore(path)) as relay:
        sink = await make_sink(relay.platform, receiver.url)
    other = with_settings(encryption_keys=(Secret(Fernet.generate_key().decode()),), sinks_private="allow")
    async with serving(other, clock, store=SqliteStore(path)) as relay:
        await say(relay, "one")

        async def why():
            last = (await relay.platform.http.get(f"/sinks/{sink.id}")).json()["last"]
            return last and "RELAY_ENCRYPTION_KEYS" in last["why"]

        await eventually(why, "the sink says what is wrong")
    async with serving(SINK_SETTINGS, clock, store=SqliteStore(path)):
        await receiver.until(1)
    assert ["one"] == receiver.texts


# -- how they are asked for ----------------------------------------------------------


async def test_a_sink_is_made_shown_and_forgotten(relay, platform, receiver):
    """201 with the secret, then without it; 204, then 404."""
    answer = await platform.http.post("/sinks", json={"url": receiver.url, "types": ["tip"], "audience": "chat"})
    made = answer.json()
    assert 201 == answer.status_code
    assert made.pop("secret").startswith("whsec_")
    assert {
        "url": receiver.url,
        "types": ["tip"],
        "models": None,
        "audience": "chat",
        "state": "active",
        "lag": 0,
        "last": None,
    }.items() <= made.items()
    assert {"sinks": [made]} == (await platform.http.get("/sinks")).json()
    assert made == (await platform.http.get(f"/sinks/{made['id']}")).json()
    assert 204 == (await platform.http.delete(f"/sinks/{made['id']}")).status_code
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/enable"), ("POST", "/rotate"), ("POST", "/test")):
        answer = await platform.http.request(method, f"/sinks/{made['id']}{path}")
        assert (404, "unknown_sink") == (answer.status_code, answer.json()["type"])
    await platform.accepted("t1")
    await relay.flushed()
    assert [] == receiver.came
    assert await relay.wiring.store.document("sink", made["id"]) is None


async def test_a_deleted_sink_hears_no_more(relay, platform, receiver, sink):
    """Not even the end of what was under way comes back to life."""
    receiver.hanging = True
    await say(relay, "one")
    await receiver.until(1)
    assert 204 == (await platform.http.delete(f"/sinks/{sink.id}")).status_code
    assert [] == await relay.wiring.store.documents("sink")


async def test_there_are_only_so_many_sinks(relay, platform, receiver, sink, monkeypatch):
    """409 that says what to do."""
    monkeypatch.setattr("relay.deliveries.SINKS_MAX", 1)
    answer = await platform.http.post("/sinks", json={"url": receiver.url})
    assert (409, "sinks_full") == (answer.status_code, answer.json()["type"])


async def test_a_model_nobody_knows_is_refused(platform, receiver):
    """404: a sink for it would wait for ever."""
    answer = await platform.http.post("/sinks", json={"url": receiver.url, "models": ["nobody"]})
    assert (404, "unknown_model") == (answer.status_code, answer.json()["type"])


async def test_sinks_are_for_keys_that_may_read_the_feed(relay, receiver):
    """`feed` may, `tips` may not."""
    for key, status in ((FEED_KEY, 201), (TIPS_KEY, 403)):
        async with Platform(relay.url, key) as caller:
            assert status == (await caller.http.post("/sinks", json={"url": receiver.url})).status_code


@pytest.mark.parametrize(
    "url", ["https://localhost/", "https://127.0.0.1:1/", "https://[::1]/", "https://2130706433/", "http://192.0.2.1/"]
)
async def test_our_own_network_is_refused(url):
    """400 that names the field, unless the setting allows it."""
    async with serving_coco(with_settings(encryption_keys=(Secret(ENCRYPTION_KEY),))) as relay:
        answer = await relay.platform.http.post("/sinks", json={"url": url})
        assert (400, "url") == (answer.status_code, answer.json()["field"])


def test_the_schedule_is_the_specifications():
    """Immediately, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h."""
    assert [0, 5, 300, 1800, *(3600 * hours for hours in (2, 5, 10, 14, 20, 24))] == list(sinks.SCHEDULE)


# -- the documented receiver ----------------------------------------------------------


async def test_the_receiver_in_the_docs_works(relay_process):
    """As it stands: what is signed is kept once, what is not is refused, and the sink waits for it."""
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "sinks.md").read_text(), re.DOTALL)
    kept = {}
    scope = {"SECRET": "whsec_AAAA", "keep": lambda id, body: bool(kept.setdefault(id, body))}
    exec(block, scope)
    scope["Hook"].log_message = lambda *_: None
    with http.server.HTTPServer(("127.0.0.1", 0), scope["Hook"]) as server:
        serves = asyncio.create_task(asyncio.to_thread(server.serve_forever, 0.01))
        process = relay_process(RELAY_SINKS_PRIVATE="allow", RELAY_ENCRYPTION_KEYS=ENCRYPTION_KEY)
        async with await process.start() as platform:
            await platform.register()
            sink = await make_sink(platform, f"http://localhost:{server.server_port}/", types=["tip"])
            assert 400 == (await sink.order("test"))["status"]
            scope["SECRET"] = sink.secret
            assert 204 == (await sink.order("test"))["status"]
            await platform.accepted("t1")
            await sink.until(lambda shown: shown["last"])
        server.shutdown()
        await serves
    assert ["test", "tip"] == [json.loads(body)["type"] for body in kept.values()]
