"""The sandbox behind the scenes: switches, toys, commands, and the ledger of calls."""

import pytest
from sandbox_kit import sandbox

from relay.sandbox import create_app
from relay.sandbox.ledger import BadReport, Call, Ledger, read_call
from relay.sandbox.models import OUTBOX_FRAMES_MAX, Page

CALL = {"page": "p_1", "n": 1, "name": "john", "amount": 20, "at": 1000.0, "outcome": "taken"}


async def test_switches_are_set_one_by_one():
    """What an order does not name stays; the answer is the whole."""
    async with sandbox(listeners="replace") as vendor:
        at = f"/sandbox/models/{await vendor.token()}/switches"
        assert "replace" == (await vendor.get(at)).json()["listeners"]
        await vendor.put(at, json={"global": "Lovense", "script_delay": 0.5})
        switches = (await vendor.put(at, json={"echo": True})).json()
        assert ("Lovense", 0.5, True, "replace") == tuple(
            switches[name] for name in ("global", "script_delay", "echo", "listeners")
        )


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"weather": "bad"}, "is not a switch: use announce, echo"),
        ({"receive_tip": "maybe"}, "must be ok or throws or rejects or missing, not 'maybe'"),
        ({"script_delay": 61}, "seconds from 0 to 60"),
        ({"ready_delay": True}, "seconds from 0 to 60"),
        ({"echo": 1}, "must be true or false"),
        ({"listeners": ["append"]}, "must be append or replace"),
        ([], "must be a JSON object"),
    ],
)
async def test_a_bad_switch_is_named(order, words):
    """422, and nothing is switched."""
    async with sandbox() as vendor:
        at = f"/sandbox/models/{await vendor.token()}/switches"
        before = (await vendor.get(at)).json()
        answer = await vendor.put(at, json=order)
        assert 422 == answer.status_code
        assert words in answer.json()["error"]
        assert before == (await vendor.get(at)).json()


async def test_a_toy_is_switched_by_its_id():
    """One toy or all; an unknown one is a 422."""
    async with sandbox() as vendor:
        at = f"/sandbox/models/{await vendor.token()}/toys"
        assert not (await vendor.put(at, json={"on": False, "id": "l58f167da065"})).json()["toys"][0]["on"]
        assert (await vendor.put(at, json={"on": True})).json()["toys"][0]["on"]
        assert 422 == (await vendor.put(at, json={"on": True, "id": "nobody"})).status_code
        assert 422 == (await vendor.put(at, json={"on": "yes"})).status_code


async def test_an_event_needs_to_be_there():
    """Whatever it is, null too: then the script says null."""
    async with sandbox() as vendor:
        at = f"/sandbox/models/{await vendor.token()}/event"
        assert {"pages": 0} == (await vendor.post(at, json={"event": None})).json()
        for body in ({}, []):
            answer = await vendor.post(at, json=body)
            assert (422, True) == (answer.status_code, "'event' must be there" in answer.json()["error"])


async def test_commands_say_how_many_pages_heard():
    """Without a live page nobody does; a test tip needs a name and a whole amount."""
    async with sandbox() as vendor:
        at = f"/sandbox/models/{await vendor.token()}"
        assert {"pages": 0} == (await vendor.post(f"{at}/clear")).json()
        assert {"held": True, "pages": 0} == (await vendor.post(f"{at}/pause")).json()
        assert {"held": False, "pages": 0} == (await vendor.post(f"{at}/resume")).json()
        assert {"pages": 0} == (await vendor.post(f"{at}/tip", json={"amount": 20})).json()
        assert 422 == (await vendor.post(f"{at}/tip", json={"amount": "20"})).status_code
        assert 422 == (await vendor.post(f"{at}/tip", json={"tipper": "", "amount": 20})).status_code
        assert 404 == (await vendor.post("/sandbox/models/nobody/clear")).status_code


async def test_the_script_comes_in_the_ordered_weather():
    """It carries its model; missing, broken and unknown ones are what they say."""
    async with sandbox() as vendor:
        token = await vendor.token("m1", "Coco")
        at, script = f"/sandbox/models/{token}/switches", f"/api/cam/model/v2/model.js?mToken={token}"
        fine = await vendor.get(script, headers={"origin": "https://platform.test"})
        assert (200, "*") == (fine.status_code, fine.headers["access-control-allow-origin"])
        assert f'"mToken":"{token}","base":"http://sandbox"' in fine.text
        assert not [line for line in fine.text.splitlines() if line.startswith(("import", "export"))]
        await vendor.put(at, json={"script_broken": True})
        assert (await vendor.get(script)).text.startswith("throw ")
        await vendor.put(at, json={"script_missing": True})
        assert 404 == (await vendor.get(script)).status_code
        assert "unknown" in (await vendor.get("/api/cam/model/v2/model.js?mToken=x")).text


async def test_the_ledger_keeps_a_call_once():
    """A page reports each call twice; the ledger shows it once, in the order of the calls."""
    async with sandbox() as vendor:
        at = f"/sandbox/models/{await vendor.token()}/calls"
        for call in (CALL | {"n": 2, "at": 1001.0}, CALL, CALL):
            assert 204 == (await vendor.post(at, json=call)).status_code
        assert {"calls": [CALL, CALL | {"n": 2, "at": 1001.0}], "dropped": 0} == (await vendor.get(at)).json()
        assert 400 == (await vendor.post(at, json={"page": "p_1"})).status_code
        await vendor.delete(at)
        assert [] == (await vendor.get(at)).json()["calls"]


@pytest.mark.parametrize("body", [b"", b"null", b"[" * 9000, b"{" * 20_000, b'{"page":"","n":1}', b"\xff"])
def test_a_bad_report_is_refused(body):
    """Whatever a page sends, the ledger takes calls only."""
    with pytest.raises(BadReport):
        read_call(body)


def test_the_ledger_is_bounded():
    """The oldest calls leave first, whose ever they are, and their number is known."""
    ledger = Ledger(calls_max=2)
    for n, model in enumerate(("a", "b", "b"), 1):
        ledger.keep(model, Call("p", n, "john", 1.0, float(n)))
    assert ([], [2, 3], 1) == (ledger.of("a"), [call.n for call in ledger.of("b")], ledger.dropped)


def test_a_page_that_does_not_read_is_cut():
    """Its outbox does not grow: the last frame tells the writer to close."""
    page = Page()
    for _ in range(OUTBOX_FRAMES_MAX + 1):
        page.send(b"{}")
    assert [None] == [page.outbox.get_nowait() for _ in range(page.outbox.qsize())]


@pytest.mark.parametrize("options", [{"speed": 0}, {"settings_delay": -1}, {"listeners": "some"}])
def test_an_impossible_sandbox_is_refused(options):
    """Options out of range fail at once, where they are given."""
    with pytest.raises(ValueError, match="must"):
        create_app(**options)
