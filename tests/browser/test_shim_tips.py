"""A tip on the page: called once, answered truly, whatever the page, its storage and its clocks go through."""

from __future__ import annotations

import gzip

import pytest
from shim_kit import SHIM, open_stage

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def stage(anyio_backend):
    async with open_stage() as stage:
        yield stage


async def test_the_shim_is_small():
    """At most 12 KiB as it stands and 4 KiB under gzip -9."""
    source = SHIM.read_bytes()
    assert len(source) <= 12_288
    assert len(gzip.compress(source, 9, mtime=0)) <= 4_096


async def test_the_first_line_says_what_it_is():
    assert SHIM.read_text().startswith("// The relay's shim: ")


async def test_a_hello_shows_ticket_journal_and_vendor(stage):
    async with stage.broadcast() as b:
        hello = (await b.relay.socket()).hello
        assert {"hello", "local", "1.0.0"} == {hello["type"], hello["storage"], hello["shim"]}
        assert hello["journal"].startswith("j_")
        assert "camkit" == hello["vendor"]["kit"]
        assert hello["ticket"].count(".") == 2


async def test_a_tip_is_played_once(stage):
    """The name goes as a string, the amount as a number; the journal has it before the relay knows."""
    async with stage.broadcast() as b:
        page = await b.live()
        assert "played" == await page.play("t1", tipper="69", amount=20)
        assert [["69", 20]] == await b.calls()
        assert {"t1": "played"} == await b.journal()
        assert "played" == (await b.told("tip"))["outcome"]


async def test_a_repeat_is_answered_from_the_journal(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await page.play("t1", run=3)
        await page.tip("t1", run=4)
        assert {"type": "ack", "id": "t1", "outcome": "duplicate", "was": "played", "run": 4} == await page.ack("t1")
        assert 1 == len(await b.calls())


async def test_tips_keep_their_order(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        for n in range(50):
            await page.tip(f"t{n}", amount=n + 1)
        for n in range(50):
            assert f"t{n}" == (await page.next("ack"))["id"]
        assert [n + 1 for n in range(50)] == [amount for _, amount in await b.calls()]


async def test_a_reload_remembers_what_was_played_failed_and_interrupted(stage):
    """A call that never ended is doubt; a tip that never came is proof."""
    world = """window.lovense = makeVendor();
      window.react = (name) => {
        if (name === "bad") throw new Error("no");
        if (name === "slow") return new Promise(() => {});
      }"""
    async with stage.broadcast(world=world) as b:
        page = await b.live()
        await page.play("good")
        await page.play("failed", tipper="bad")
        await page.tip("interrupted", tipper="slow")
        await page.settled()
        assert "calling" == (await b.journal())["interrupted"]
        await b.page.reload()
        back = await b.relay.socket()
        assert page.hello["journal"] == back.hello["journal"]
        await back.welcome(ask=["good", "failed", "interrupted", "unseen"])
        said = {"good": "played", "failed": "failed", "interrupted": "interrupted", "unseen": "unseen"}
        assert said == (await back.next("answer"))["tips"]
        await back.tip("interrupted")
        assert "interrupted" == (await back.ack("interrupted"))["was"]
        assert 3 == len(await b.calls())


async def test_a_person_may_have_an_interrupted_tip_played(stage):
    """Only that one, and only once."""
    world = "window.lovense = makeVendor(); window.react = () => window.still ?? new Promise(() => {})"
    async with stage.broadcast(world=world) as b:
        page = await b.live()
        await page.tip("t1")
        await page.settled()
        await b.page.reload()
        page = await b.live()
        await b.do("window.react = undefined")
        assert "played" == await page.play("t1", replay=True)
        assert "duplicate" == await page.play("t1", replay=True)
        assert 2 == len(await b.calls())


async def test_a_call_that_still_runs_is_answered_by_its_ack(stage):
    world = "window.lovense = makeVendor(); window.react = () => new Promise((done) => { window.finish = done })"
    async with stage.broadcast(world=world) as b:
        page = await b.live()
        await page.tip("t1")
        await page.tip("t1")
        await page.send("ask", tips=["t1", "t2"])
        assert {"t1": "calling", "t2": "unseen"} == (await page.next("answer"))["tips"]
        await b.do("finish()")
        assert "played" == (await page.ack("t1"))["outcome"]
        assert 1 == len(await b.calls())


async def test_a_promise_that_never_settles_is_played_after_a_while(stage):
    world = "window.lovense = makeVendor(); window.react = () => new Promise(() => {})"
    async with stage.broadcast(world=world) as b:
        page = await b.live()
        await page.tip("t1")
        await page.settled()
        assert "calling" == (await b.journal())["t1"]
        await b.do("hurry = true; 0")
        assert "played" == await page.play("t2")


@pytest.mark.parametrize(
    ("react", "error"),
    [
        ('() => { throw new Error("toy box is closed") }', "toy box is closed"),
        ('() => Promise.reject(new Error("later no"))', "later no"),
        ("() => { throw undefined }", "undefined"),
    ],
)
async def test_a_vendor_that_refuses_fails_one_tip_only(stage, react, error):
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do(f"void (window.react = {react})")
        await page.tip("t1")
        ack = await page.ack("t1")
        assert "failed" == ack["outcome"]
        assert error in ack["error"]
        await b.do("window.react = undefined")
        assert "played" == await page.play("t2")
        assert "failed" == (await b.journal())["t1"]


async def test_what_was_turned_away_is_not_overtaken(stage):
    """After a not_ready in run 2, all of run 2 and before waits; run 3 plays."""
    async with stage.broadcast() as b:
        page = await b.live()
        await page.send("hold")
        assert "not_ready" == await page.play("t1", run=2)
        await page.send("release")
        assert "not_ready" == await page.play("t2", run=2)
        assert "not_ready" == await page.play("t0", run=1)
        assert "played" == await page.play("t1", run=3)
        assert 1 == len(await b.calls())
        assert ["hold", "release"] == [kind for kind, _ in await b.do("heard") if kind in ("hold", "release")]


async def test_run_zero_plays(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        assert "played" == await page.play("t1", run=0)


async def test_a_model_on_hold_at_welcome_plays_nothing(stage):
    async with stage.broadcast() as b:
        page = await b.live(held=True)
        assert "not_ready" == await page.play("t1", run=0)
        assert [] == await b.calls()


@pytest.mark.parametrize("clock", ["date", "steady"])
async def test_a_tip_that_waited_too_long_is_stale(stage, clock):
    """Whichever clock noticed: one stands still in sleep, the other may be set."""
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do(f"shift.{clock} += 61_000")
        assert "stale" == await page.play("t1", ttl=60)
        assert [] == await b.calls()
        assert {} == await b.journal()


async def test_a_clock_that_was_set_is_measured_again(stage):
    """At the next ping the page returns; then tips are judged by the new measure."""
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do("shift.date += 3_600_000")
        await page.send("ping", n=1)
        again = await b.live()
        assert 1000 == await page.closed()
        assert "played" == await again.play("t1")


async def test_a_welcome_from_a_sleeping_page_counts_as_old(stage):
    """It was read an hour after hello: so were the tips behind it."""
    async with stage.broadcast() as b:
        page = await b.relay.socket()
        await b.do("shift.date += 3_600_000")
        await page.welcome()
        assert "stale" == await page.play("t1")


async def test_blocked_storage_keeps_a_journal_for_this_page_load(stage):
    world = """window.lovense = makeVendor();
      Object.defineProperty(window, "localStorage", { get() { throw new DOMException("no", "SecurityError") } })"""
    async with stage.broadcast(world=world) as b:
        page = await b.live()
        assert "memory" == page.hello["storage"]
        assert "played" == await page.play("t1")
        assert "duplicate" == await page.play("t1")
        await page.close(4300)
        same = await b.live(ask=["t1", "t2"])
        assert {"t1": "played", "t2": "unseen"} == next(f for f in same.frames if f["type"] == "answer")["tips"]
        assert page.hello["journal"] == same.hello["journal"]
        await b.page.reload()
        assert page.hello["journal"] != (await b.relay.socket()).hello["journal"]


FULL = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }"


async def test_full_storage_is_said_and_never_becomes_proof(stage):
    """The page itself still knows; after a reload nobody claims to."""
    async with stage.broadcast() as b:
        page = await b.live()
        await page.play("t1")
        await b.do(f"{FULL}; 0")
        assert "played" == await page.play("t2")
        assert "storage_full" == (await b.told("error"))["code"]
        await page.close(4300)
        same = await b.relay.socket()
        assert (page.hello["journal"], "memory") == (same.hello["journal"], same.hello["storage"])
        await same.welcome(ask=["t1", "t2", "t3"])
        assert {"t1": "played", "t2": "played", "t3": "unseen"} == (await same.next("answer"))["tips"]
        await b.page.reload()
        new = await b.relay.socket()
        assert page.hello["journal"] != new.hello["journal"]


async def test_full_storage_first_gives_up_old_entries(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await page.play("t0")
        await b.do("""(() => {
            const mine = Object.keys(localStorage).find((key) => key.endsWith("] t0")).replace("t0", "");
            for (let i = 0; i < 900; i++) localStorage[mine + "old" + i] = `${Date.now() - 7200e3 - i} played`;
            const write = Storage.prototype.setItem;
            Storage.prototype.setItem = function (key, value) {
              if (this.length > 800) throw new DOMException("full", "QuotaExceededError");
              write.call(this, key, value);
            } })()""")
        assert "played" == await page.play("t1")
        journal = await b.journal()
        assert "played" == journal["t1"]
        assert 150 < len(journal) < 250
        assert [] == await b.heard("error")


async def test_the_journal_is_bounded(stage):
    """Beyond a thousand, what is older than an hour goes; what is younger stays."""
    async with stage.broadcast() as b:
        page = await b.live()
        await page.play("t0")
        await b.do("""(() => {
            const mine = Object.keys(localStorage).find((key) => key.endsWith("] t0")).replace("t0", "");
            for (let i = 0; i < 600; i++) localStorage[mine + "young" + i] = `${Date.now() - 1000} played`;
            for (let i = 0; i < 900; i++) localStorage[mine + "old" + i] = `${Date.now() - 7200e3 - i} played`;
            })()""")
        await b.page.reload()
        await b.live()
        journal = await b.journal()
        assert 1000 == len(journal)
        assert 600 == sum(name.startswith("young") for name in journal)
        assert "old0" in journal
        assert "old899" not in journal


async def test_cleared_storage_makes_silence_doubt(stage):
    """What this page itself played it still knows; of the rest it cannot say `unseen`."""
    async with stage.broadcast() as b:
        page = await b.live()
        await page.play("t1")
        await b.do("localStorage.clear()")
        assert "played" == await page.play("t2")
        await page.send("ask", tips=["t1", "t2", "t3"])
        assert {"t1": "played", "t2": "played", "t3": "interrupted"} == (await page.next("answer"))["tips"]
        assert "duplicate" == await page.play("t1")
        await page.close(4300)
        assert "memory" == (await b.relay.socket()).hello["storage"]
        await b.page.reload()
        assert page.hello["journal"] != (await b.relay.socket()).hello["journal"]


async def test_a_call_without_an_end_is_never_forgotten(stage):
    """However old it is and however many came after it: its silence would be proof that it was not played."""
    world = "window.lovense = makeVendor(); window.react = () => window.still ?? new Promise(() => {})"
    async with stage.broadcast(world=world) as b:
        page = await b.live()
        await page.tip("t1")
        await page.settled()
        await b.do(
            "(() => { const key = Object.keys(localStorage).find((key) => key.endsWith('] t1'));"
            " localStorage[key] = `${Date.now() - 99e5} calling`;"
            " for (let n = 0; n < 1100; n++)"
            " localStorage[key.replace('t1', `p${n}`)] = `${Date.now() - 72e5 - n} played` })()"
        )
        await page.send("ping", n=1, at=0)
        await page.next("pong")
        journal = await b.journal()
        assert ("calling", "played", None) == (journal.get("t1"), journal.get("p0"), journal.get("p1099"))


async def test_a_tip_may_be_called_anything(stage):
    """Also as what every object has."""
    async with stage.broadcast() as b:
        page = await b.live()
        await page.send("ask", tips=["__proto__", "constructor"])
        assert {"__proto__": "unseen", "constructor": "unseen"} == (await page.next("answer"))["tips"]


async def test_another_tabs_entry_forbids_the_call(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await page.play("t1")
        await b.do(
            "(() => { for (const key of Object.keys(localStorage)) if (key.endsWith('] t1'))"
            " localStorage[key.replace('t1', 't2')] = `${Date.now()} calling` })()"
        )
        await page.tip("t2")
        ack = await page.ack("t2")
        assert ("duplicate", "interrupted") == (ack["outcome"], ack["was"])


async def test_a_newer_generation_in_the_storage_ends_this_page(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do(
            "(() => { for (const key of Object.keys(localStorage)) if (key.startsWith('generation'))"
            " localStorage[key] = `${Date.now()} 10` })()"
        )
        await page.tip("t1")
        assert 1000 == await page.closed()
        await b.state("superseded")
        assert [] == await b.calls()


async def test_a_relay_that_counts_from_one_again_is_believed(stage):
    """A thrown-away database must not silence every page of that browser."""
    async with stage.broadcast() as b:
        b.relay.generation = 50
        await (await b.live()).close(4300)
        page = await b.live(generation=1)
        assert "played" == await page.play("t1")


async def test_an_answer_is_sent_only_when_asked(stage):
    async with stage.broadcast() as b:
        page = await b.live(ask=[])
        assert [] == [frame for frame in page.frames if frame["type"] == "answer"]
