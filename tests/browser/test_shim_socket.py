"""The page comes and goes: tickets, close codes, tabs, handovers, sockets that only look alive."""

from __future__ import annotations

import pytest
from shim_kit import open_stage, ticket

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def stage(anyio_backend):
    async with open_stage() as stage:
        yield stage


async def test_the_versioned_address_finds_the_same_relay(stage):
    async with stage.broadcast(path="/shim/1.0.0/shim.js") as b:
        assert "played" == await (await b.live()).play("t1")


async def test_a_reconnect_shows_the_resume_token(stage):
    async with stage.broadcast() as b:
        await (await b.live(resume="r-1")).close(4300)
        again = await b.relay.socket()
        assert "r-1" == again.hello["resume"]
        assert "ticket" not in again.hello


@pytest.mark.parametrize(("code", "state"), [(4001, "superseded"), (4003, "refused"), (4099, "refused")])
async def test_some_closes_mean_stay_away(stage, code, state):
    """Nothing brings it back by itself, not a wake-up, not the same script again."""
    async with stage.broadcast() as b:
        await b.do("hurry = true; 0")
        await (await b.live()).close(code)
        await b.state(state)
        assert code == (await b.told("error"))["code"]
        await b.do("dispatchEvent(new Event('online'))")
        await b.do("new Promise((done) => setTimeout(() => setTimeout(done)))")
        assert b.relay.sockets.empty()


async def test_a_superseded_page_returns_when_asked(stage):
    async with stage.broadcast() as b:
        await (await b.live()).close(4001)
        await b.state("superseded")
        await b.do("relay.takeover()")
        assert "played" == await (await b.live()).play("t1")


@pytest.mark.parametrize("body", ["plain", "json"])
async def test_an_expired_ticket_is_replaced(stage, body):
    async with stage.broadcast() as b:
        new = ticket(n=2)
        b.relay.tickets = [new if body == "plain" else f'{{"ticket": "{new}"}}']
        await (await b.live()).close(4101)
        again = await b.relay.socket()
        assert new == again.hello["ticket"]
        assert "resume" not in again.hello


async def test_a_ticket_address_that_fails_is_asked_again(stage):
    async with stage.broadcast() as b:
        b.relay.tickets = [500, "not a ticket", ticket(n=2)]
        await (await b.live()).close(4102)
        assert ticket(n=2) == (await b.relay.socket()).hello["ticket"]
        assert "ticket_unreadable" == (await b.told("error"))["code"]


async def test_a_page_without_a_ticket_address_is_asked_for_one(stage):
    async with stage.broadcast(data=f'data-ticket="{ticket()}"') as b:
        await (await b.live()).close(4101)
        await b.told("ticket")
        await b.do(f"relay.connect({{ ticket: '{ticket(n=3)}' }})")
        assert ticket(n=3) == (await b.relay.socket()).hello["ticket"]


async def test_an_unreadable_ticket_is_replaced(stage):
    async with stage.broadcast(data="") as b:
        b.relay.tickets = [ticket(n=4)]
        await b.do("relay.connect({ ticket: 'what', ticketUrl: '/ticket' })")
        assert ticket(n=4) == (await b.relay.socket()).hello["ticket"]


async def test_without_a_ticket_the_shim_waits(stage):
    async with stage.broadcast(data="") as b:
        assert "idle" == await b.do("relay.state")
        await b.do(f"relay.connect({{ ticket: '{ticket()}' }})")
        assert "played" == await (await b.live()).play("t1")


@pytest.mark.parametrize("code", [1012, 4201, 4999])
async def test_other_closes_mean_come_back(stage, code):
    async with stage.broadcast() as b:
        await (await b.live()).close(code)
        assert "played" == await (await b.live()).play("t1")
        assert "connecting" in await b.heard("state")


async def test_a_drain_is_a_handover(stage):
    """The old socket acts until the new one is welcomed, then it is closed."""
    async with stage.broadcast() as b:
        old = await b.live()
        await old.send("drain", **{"in": 0.05})
        new = await b.relay.socket()
        assert "played" == await old.play("t1")
        await new.welcome()
        assert 1000 == await old.closed()
        assert "played" == await new.play("t2")
        assert "connecting" not in (await b.heard("state"))[-1:]


async def test_a_page_replaced_by_its_own_next_socket_stays(stage):
    """The relay may send the old socket away with 4001 before the new one has its welcome."""
    async with stage.broadcast() as b:
        old = await b.live()
        await old.send("drain", **{"in": 0.01})
        new = await b.relay.socket()
        await old.close(4001)
        await new.welcome()
        assert "played" == await new.play("t1")
        await b.state("live")


async def test_frames_of_an_old_socket_are_not_heard(stage):
    async with stage.broadcast() as b:
        old = await b.live()
        await old.send("drain", **{"in": 0.01})
        new = await b.relay.socket()
        await new.welcome()
        await old.tip("t1")
        await new.settled()
        assert [] == await b.calls()


async def test_a_silent_socket_is_given_up(stage):
    """Two and a half heartbeats without a frame: it is half open, whatever readyState says."""
    async with stage.broadcast() as b:
        silent = await b.live(heartbeat=2)
        await b.do("shift.date += 4_000")
        await silent.settled()
        await b.do("shift.steady += 5_500")
        again = await b.relay.socket()
        assert "r1" == again.hello["resume"]


async def test_a_hello_without_a_welcome_is_given_up(stage):
    async with stage.broadcast() as b:
        await b.relay.socket()
        await b.do("shift.date += 15_500")
        assert "played" == await (await b.live()).play("t1")


async def test_pings_are_answered_with_what_the_page_is(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await page.send("ping", n=5)
        assert {"type": "pong", "n": 5, "hidden": False} == await page.next("pong")


async def test_strange_frames_are_counted_and_ignored(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        before = await b.do("relay.stats.unknown")
        for strange in ("{", "null", "[]", '{"type":"new"}', '{"type":"toString"}', '{"type":"ask"}'):
            await page.ws.send(strange)
        assert "played" == await page.play("t1", news=1)
        assert await b.do("relay.stats.unknown") >= before + 4


async def test_a_listener_that_throws_harms_nobody(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do("relay.on('tip', () => { throw new Error('mine') })")
        assert "played" == await page.play("t1")
        assert "played" == await page.play("t2")


async def test_an_unsubscribed_listener_is_silent(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do("window.told = 0; void (window.off = relay.on('tip', () => told++))")
        await page.play("t1")
        await b.do("off()")
        await page.play("t2")
        assert 1 == await b.do("told")


async def test_a_second_tab_waits_and_takes_over_on_request(stage):
    """The first stops at once and does not come back by itself."""
    async with stage.broadcast() as b:
        first = await b.live()
        second = await b.tab()
        await b.state("waiting", second)
        assert b.relay.sockets.empty()
        await second.evaluate("relay.takeover()")
        page = await b.live()
        assert first.hello["journal"] == page.hello["journal"]
        assert 1000 == await first.closed()
        await b.state("superseded")
        assert "played" == await page.play("t1")
        assert [] == await b.calls()
        assert 1 == len(await b.calls(second))


async def test_a_waiting_tab_goes_on_when_the_first_is_closed(stage):
    async with stage.broadcast() as b:
        await b.live()
        second = await b.tab()
        await b.state("waiting", second)
        await b.page.close()
        assert "played" == await (await b.live()).play("t1")


async def test_the_tab_that_took_over_knows_what_the_first_played(stage):
    async with stage.broadcast() as b:
        await (await b.live()).play("t1")
        second = await b.tab()
        await b.state("waiting", second)
        await second.evaluate("relay.takeover()")
        page = await b.relay.socket()
        await page.welcome(ask=["t1", "t2"])
        assert {"t1": "played", "t2": "unseen"} == (await page.next("answer"))["tips"]


async def test_a_reload_takes_its_place_back(stage):
    async with stage.broadcast() as b:
        await b.live()
        await b.page.reload()
        assert "played" == await (await b.live()).play("t1")


async def test_a_browser_without_locks_carries_on(stage):
    world = "window.lovense = makeVendor(); Object.defineProperty(navigator, 'locks', { value: undefined })"
    async with stage.broadcast(world=world) as b:
        assert "played" == await (await b.live()).play("t1")


async def test_the_script_twice_is_the_script_once(stage):
    """Two tags, StrictMode, hot reload: one object, one socket, one listener."""
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do("void (window.first = relay)")
        await b.do(
            f"""new Promise((done) => {{ const tag = document.createElement('script'); tag.src = '/shim.js';
                tag.dataset.ticket = '{ticket()}'; tag.onload = done; document.head.append(tag) }}).then(() => 0)"""
        )
        await page.settled()
        assert await b.do("relay === first")
        assert b.relay.sockets.empty()
        assert 1 == await b.do("listeners.length")


async def test_connecting_again_with_a_ticket_for_the_same_model_changes_nothing(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do(f"relay.connect({{ ticket: '{ticket(n=9)}' }})")
        await page.settled()
        assert b.relay.sockets.empty()


async def test_another_model_is_another_turn(stage):
    """The old vendor is ended, its late words dropped; the new model's token starts it again."""
    async with stage.broadcast() as b:
        coco = await b.live()
        await b.do(f"relay.connect({{ ticket: '{ticket('lola')}' }})")
        assert 1000 == await coco.closed()
        lola = await b.relay.socket()
        assert not lola.hello["vendor"]["ready"]
        assert coco.hello["journal"] != lola.hello["journal"]
        await b.do("say({ type: 'message', detail: 'late' })")
        await lola.welcome(token="lola-token")
        assert (await lola.next("vendor"))["ready"]
        assert (1, ["lola-token"]) == (await b.do("destroyed"), await b.do("inits"))
        await b.do("say({ type: 'message', detail: 'fresh' })")
        await lola.event(detail="fresh")
        assert "late" not in str(lola.frames)
        assert "played" == await lola.play("t1")


async def test_a_destroyed_relay_is_gone_and_can_come_back(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do("relay.destroy()")
        assert 1000 == await page.closed()
        assert ("destroyed", 1) == (await b.do("relay.state"), await b.do("destroyed"))
        await b.do(f"relay.connect({{ ticket: '{ticket()}' }})")
        again = await b.relay.socket()
        assert "ticket" in again.hello
        await again.welcome()
        await again.next("vendor")
        assert "played" == await again.play("t1")


async def test_what_is_uncertain_is_shown_and_settled(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        doubt = [{"id": "t1", "tipper": "john", "amount": 20, "at": 1}]
        await page.send("uncertain", tips=doubt)
        await b.until("heard.some(([type, tips]) => type === 'uncertain' && tips.length)")
        assert doubt == (await b.heard("uncertain"))[-1]
        assert await b.do("relay.resolve('t1', 'skip')")
        assert {"type": "resolve", "id": "t1", "as": "skip"} == await page.next("resolve")
