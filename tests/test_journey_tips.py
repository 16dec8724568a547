"""POST /tips and what the platform can ask about a tip: design section 5, over real sockets."""

import asyncio
import json

import pytest
from kit import serving, serving_coco

from relay.stores.sqlite import SqliteStore

CLEANED = {  # what a tipper calls himself -> what everybody sees
    "<b>bold</b><script>alert(1)</script>": "<b>bold</b><script>alert(1)</script>",
    "two\r\nlines\tand  spaces ": "two lines and spaces",
    "\u202eevil\u202c \u2066name\u2069": "evil name",
    "ze\u200bro\u200d-wi\ufeffdth": "zero-width",
    "cafe\u0301": "café",
    "lone \ud83d half": "lone \ufffd half",
    "名前": "名前",
    "x" * 10_000: "x" * 64,
    "z" + "\u0301" * 500: "ź" + "\u0301" * 4,
    "{name} %s ${x}": "{name} %s ${x}",
}


# -- Kept once ----------------------------------------------------------


async def test_a_new_tip_is_accepted_with_its_receipt(platform):
    """202 means kept; the answer is the receipt, with what the platform can tell its viewer at once."""
    answer = await platform.tip("t1", "john", 20)
    receipt = answer.json()
    assert 202 == answer.status_code
    assert "idempotent-replayed" not in answer.headers
    assert ("t1", "coco", "accepted", "john", 20) == tuple(
        receipt[field] for field in ("id", "model", "status", "tipper", "amount")
    )
    assert {"online": False, "ready": False, "toys": None} == receipt["page"]
    assert {"reacts": None, "level": None, "special": None, "seconds": None} == receipt["preview"]
    assert ["accepted"] == [step["status"] for step in receipt["timeline"]]


async def test_a_repeat_brings_the_same_receipt(platform):
    """The same tip again is 200, marked as a replay, with the same acceptance; it is not a second tip."""
    first = await platform.accepted("t1")
    again = await platform.tip("t1")
    assert (200, "true") == (again.status_code, again.headers["idempotent-replayed"])
    assert first["accepted_at"] == again.json()["accepted_at"]
    assert 1 == len((await platform.http.get("/tips")).json()["tips"])


async def test_a_repeat_brings_todays_status(platform, page):
    """What became of the tip meanwhile is in the answer to a late retry."""
    await platform.accepted("t1")
    await page.play()
    await platform.until("t1", "played")
    assert "played" == (await platform.tip("t1")).json()["status"]


async def test_the_same_id_with_other_content_is_refused(platform):
    """422, and the first one stands."""
    await platform.accepted("t1", "john", 20)
    for other in ({"amount": 21}, {"tipper": "jane"}, {"private": True}, {"anonymous": True}):
        refused = await platform.tip("t1", **({"tipper": "john", "amount": 20} | other))
        assert (422, "id_reused") == (refused.status_code, refused.json()["type"])
    assert 20 == (await platform.receipt("t1"))["amount"]


async def test_the_same_id_for_another_model_is_refused(platform):
    """An id is the platform's own, over all models."""
    await platform.register("kim", "Kim")
    await platform.accepted("t1")
    assert 422 == (await platform.tip("t1", model="kim")).status_code


async def test_the_same_amount_in_another_spelling_is_the_same_tip(platform):
    """A retry that writes 20.0 or "20" is still a retry."""
    await platform.accepted("t1", amount=20)
    assert [200, 200] == [(await platform.tip("t1", amount=amount)).status_code for amount in (20.0, "20")]


async def test_fifty_racing_repeats_keep_one_tip(relay, platform, page):
    """However many retries race, one of them is the tip, and the page gets it once."""
    answers = await asyncio.gather(*(platform.tip("t1") for _ in range(50)))
    assert [200] * 49 + [202] == sorted(answer.status_code for answer in answers)
    assert ["t1"] == await page.tips_so_far()


async def test_an_unknown_model_is_not_found(door):
    """404 that says how to register her; nothing is kept."""
    answer = await door.tip("t1", model="nobody")
    assert (404, "unknown_model") == (answer.status_code, answer.json()["type"])
    assert "PUT /models/nobody" in answer.json()["detail"]
    assert 404 == (await door.http.get("/tips/t1")).status_code


async def test_the_preview_tells_what_the_tip_will_do(platform, page, vendor_settings):
    """Once the page has spoken, the answer holds level and seconds from the model's own settings."""
    await page.hear(vendor_settings)
    await platform.until_state(lambda state: state["settings"]["levels"])
    answer = await platform.accepted("t1", amount=20)
    assert {"reacts": True, "level": 2, "special": None, "seconds": 6} == answer["preview"]
    assert {"online": True, "ready": True, "toys": None} == answer["page"]
    special = (await platform.accepted("t2", amount=120))["preview"]
    assert {"reacts": True, "level": None, "special": "earthquake", "seconds": 22} == special


# -- Amounts and ids ----------------------------------------------------------


@pytest.mark.parametrize(
    "amount",
    [True, False, 0, -5, 0.5, 1e21, "12abc", "", " ", "1e3", None, [20], {}, "0", "-1", 2**53, "9" * 40, "٢٠"],
)
async def test_an_amount_that_is_none_is_refused_by_name(door, amount):
    """400 names the field and what it held."""
    answer = await door.tip("t1", amount=amount)
    problem = answer.json()
    assert (400, "invalid", "amount") == (answer.status_code, problem["type"], problem["field"])
    assert "application/problem+json" == answer.headers["content-type"]
    assert "'amount'" in problem["detail"]
    held = {None: "nothing", True: "true", False: "false"}.get(amount) if isinstance(amount, bool | None) else None
    assert (held or ascii(amount)[:50]) in problem["detail"]
    assert 404 == (await door.http.get("/tips/t1")).status_code


@pytest.mark.parametrize(("amount", "tokens"), [(20, 20), (20.0, 20), ("20", 20), ("20.0", 20), (1, 1)])
async def test_an_amount_is_a_number_however_it_is_written(platform, amount, tokens):
    """Back ends do send 20.0 and "20" for 20 (facts.md H5)."""
    assert tokens == (await platform.accepted("t1", amount=amount))["amount"]


async def test_the_largest_amount_survives_the_way(platform, page):
    """2**53 - 1 is what JavaScript still counts exactly."""
    await platform.accepted("t1", amount=2**53 - 1)
    assert 2**53 - 1 == (await page.next_tip())["amount"]


@pytest.mark.parametrize("id", ["", "x" * 200, "0", 0, None, True, 1.5, [], "with space", "new\nline", "é", "\ud83d"])
async def test_an_id_that_is_none_is_refused_by_name(door, id):
    """400: empty, too long, not visible ASCII, or the 0 of test tips (facts.md H4)."""
    answer = await door.tip(id)
    assert (400, "id") == (answer.status_code, answer.json()["field"])
    assert "'id'" in answer.json()["detail"]


@pytest.mark.parametrize("id", ["x" * 128, 4711, "!~", "a/b?c#d%20"])
async def test_an_id_may_be_whatever_the_platform_uses(platform, id):
    """128 characters, a number, or signs that mean something in a URL."""
    assert str(id) == (await platform.accepted(id))["id"]
    assert [str(id)] == [tip["id"] for tip in (await platform.http.get("/tips")).json()["tips"]]


@pytest.mark.parametrize("id", ["a/b", "a?b", "a#b", "50%", "batch"])
async def test_an_odd_id_is_found_under_its_own_address(platform, id):
    """GET and DELETE reach every tip that was accepted, its id percent-encoded."""
    from urllib.parse import quote

    await platform.accepted(id)
    assert id == (await platform.receipt(quote(id, safe="")))["id"]
    assert "cancelled" == (await platform.http.delete(f"/tips/{quote(id, safe='')}")).json()["status"]


async def test_the_id_may_come_as_idempotency_key(platform):
    """The header is the id, plain or quoted as its draft writes it; a retry under it is a replay."""
    body = {"model": "coco", "tipper": "john", "amount": 20}
    first = await platform.http.post("/tips", json=body, headers={"Idempotency-Key": "k1"})
    again = await platform.http.post("/tips", json=body, headers={"Idempotency-Key": '"k1"'})
    assert (202, "k1") == (first.status_code, first.json()["id"])
    assert (200, "k1") == (again.status_code, again.json()["id"])


async def test_two_different_ids_are_refused(door):
    """A body's id and another Idempotency-Key cannot both be right."""
    body = {"id": "t1", "model": "coco", "tipper": "john", "amount": 20}
    answer = await door.http.post("/tips", json=body, headers={"Idempotency-Key": "k1"})
    assert (400, "id") == (answer.status_code, answer.json()["field"])
    assert "Idempotency-Key" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("anonymous", "yes"),
        ("private", 1),
        ("expires_in", 0),
        ("expires_in", -1),
        ("expires_in", "soon"),
        ("expires_in", 1e9),
        ("expires_in", True),
        ("model", ""),
        ("model", 7),
        ("model", None),
        ("model", "../../etc"),
        ("model", "x" * 129),
        ("tipper", 7),
        ("tipper", None),
    ],
)
async def test_a_field_that_holds_what_it_cannot_hold_is_named(door, field, value):
    """400 with the field's name, whichever it is."""
    answer = await door.tip("t1", **{field: value})
    assert (400, field) == (answer.status_code, answer.json()["field"])


async def test_fields_we_do_not_know_are_ignored(platform):
    """A platform may send more than we read."""
    await platform.accepted("t1", currency="tk", message="hi", constructor={"a": 1})


# -- Names ----------------------------------------------------------


@pytest.mark.parametrize(("name", "cleaned"), CLEANED.items(), ids=range(len(CLEANED)))
async def test_one_cleaned_name_reaches_everybody(platform, page, feed, name, cleaned):
    """Page, feed, receipt and the queue's correlation get the same string, cleaned once by one rule."""
    from kit import queue_event, running

    assert cleaned == (await platform.accepted("t1", name))["tipper"]
    assert cleaned == (await page.play())["tipper"]
    assert cleaned == (await feed.next("tip", status="accepted"))["tipper"]
    await page.hear(queue_event([running(cleaned, 20)]))
    await platform.until("t1", "running")
    assert cleaned == (await platform.state())["queue"]["running"][0]["tipper"]


@pytest.mark.parametrize("name", ["", "   ", "\u200b\u200d", "\n\t", "\u202e", "\u3164", "\u2800", "\u0301", "\x00"])
async def test_a_name_of_nothing_visible_is_refused(door, name):
    """400 that names the field and the way out: an anonymous tip."""
    answer = await door.tip("t1", name)
    assert (400, "tipper") == (answer.status_code, answer.json()["field"])
    assert "anonymous" in answer.json()["detail"]


async def test_an_anonymous_tip_goes_by_the_alias(platform, page, feed, viewer):
    """The vendor and the room see the alias; only the platform sees who it was."""
    receipt = await platform.accepted("t1", "john", anonymous=True)
    assert ("john", "Anonymous") == (receipt["tipper"], receipt["shown_as"])
    assert "Anonymous" == (await page.next_tip())["tipper"]
    assert "Anonymous" == (await viewer.next("tip"))["tipper"]
    assert "john" == (await feed.next("tip"))["tipper"]
    assert "john" not in json.dumps(viewer.seen)


async def test_an_anonymous_tip_needs_no_name(platform, page):
    """A platform that does not tell us who it was need not invent somebody."""
    answer = await platform.http.post("/tips", json={"id": "t1", "model": "coco", "amount": 5, "anonymous": True})
    assert 202 == answer.status_code
    assert "Anonymous" == (await page.next_tip())["tipper"]


# -- Bodies ----------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b"{'id': 't1'}", b"NaN", b"\xff\xfe", b'{"id": "\xff"}', b'{"id": "t1",}', b"[1"]
)
async def test_a_body_that_is_not_json_gets_a_clear_answer(door, body):
    """400, never a 500, and it says that the body is meant."""
    answer = await door.http.post("/tips", content=body)
    assert (400, "not_json") == (answer.status_code, answer.json()["type"])
    assert "JSON" in answer.json()["detail"]


@pytest.mark.parametrize("body", ["null", "[]", '"t1"', "1", "true", "[{}]"])
async def test_a_body_that_is_no_object_gets_a_clear_answer(door, body):
    """400: a tip must be a JSON object."""
    answer = await door.http.post("/tips", content=body)
    assert (400, "invalid") == (answer.status_code, answer.json()["type"])
    assert "JSON object" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/tips", "/tips/batch", "/models/coco/stop", "/models/coco/feed-ticket"])
@pytest.mark.parametrize(
    "body", [b"[" * 10_000, b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000]
)
async def test_ten_thousand_brackets_get_a_clear_answer(door, path, body):
    """400, and the relay goes on."""
    answer = await door.http.post(path, content=body)
    assert (400, "not_json") == (answer.status_code, answer.json()["type"])
    assert 200 == (await door.http.get("/readyz")).status_code


async def test_ten_megabytes_get_a_clear_answer(door):
    """413 that says the limit, before anything is read as JSON."""
    answer = await door.http.post("/tips", content=b'{"id": "' + b"x" * 10_000_000 + b'"}')
    assert (413, "too_large") == (answer.status_code, answer.json()["type"])
    assert "65536" in answer.json()["detail"]


async def test_ten_megabytes_without_a_length_get_a_clear_answer(door):
    """A chunked body is counted while it comes."""

    async def chunks():
        for _ in range(160):
            yield b"x" * 65_536

    answer = await door.http.post("/tips", content=chunks())
    assert 413 == answer.status_code


@pytest.mark.parametrize("path", ["/tips/", "/tip", "/", "/models/coco/nothing", "/models/coco/hold/"])
async def test_a_path_that_is_none_is_a_problem_document(door, path):
    """404 as a problem, and no redirect that would lose a body."""
    answer = await door.http.post(path, json={})
    assert (404, "not_found") == (answer.status_code, answer.json()["type"])


async def test_a_method_that_is_not_there_is_a_problem_document(door):
    """405 with what is allowed."""
    answer = await door.http.put("/tips", json={})
    assert (405, "method_not_allowed") == (answer.status_code, answer.json()["type"])
    assert {"GET", "HEAD", "POST"} == set(answer.headers["allow"].split(", "))


# -- Batches ----------------------------------------------------------


async def test_a_batch_answers_item_by_item_in_order(platform, page):
    """Good, bad, repeated and unknown: each has its own result, and one bad item harms no other."""
    tip = {"model": "coco", "tipper": "john", "amount": 5}
    items = [
        {"id": "b1", **tip},
        {"id": "b2", **tip, "amount": 0},
        "not a tip",
        {"id": "b1", **tip},
        {"id": "b1", **tip, "amount": 6},
        {"id": "b3", **tip, "model": "nobody"},
        {"id": "b4", **tip},
    ]
    answer = await platform.http.post("/tips/batch", json=items)
    results = answer.json()
    codes = [result.get("status_code", result["status"]) for result in results]
    assert 200 == answer.status_code
    assert [202, 400, 400, 200, 422, 404, 202] == codes
    assert ["b1", "b4"] == [(await page.play())["id"] for _ in range(2)]


async def test_a_batch_may_come_as_lines(platform, page):
    """NDJSON is answered by NDJSON, a line for a line; a line that is no JSON is named and harms no other."""
    tips = [{"id": f"t{n}", "model": "coco", "tipper": "john", "amount": 20} for n in range(3)]
    lines = [json.dumps(tips[0]), "", "{", json.dumps(tips[1] | {"amount": "x"}), json.dumps(tips[2]) + "\r"]
    answer = await platform.http.post(
        "/tips/batch", content="\n".join(lines), headers={"Content-Type": "application/x-ndjson; charset=utf-8"}
    )
    assert (200, "application/x-ndjson") == (answer.status_code, answer.headers["content-type"])
    first, broken, wrong, last = [json.loads(line) for line in answer.text.splitlines()]
    assert (202, "t0", 202, "t2") == (first["status_code"], first["id"], last["status_code"], last["id"])
    assert ("not_json", True) == (broken["type"], broken["detail"].startswith("line 3: "))
    assert ("invalid", "amount") == (wrong["type"], wrong["field"])
    assert ["t0", "t2"] == [(await page.play())["id"] for _ in range(2)]


@pytest.mark.parametrize(("lines", "type"), [('{"id": "t1"}\n{"id": "t2"}\n', "not_json"), ('{"id": "t1"}', "invalid")])
async def test_lines_that_come_as_something_else_are_told_what_to_send(door, lines, type):
    """The type is the sender's to say: nothing is guessed where money is."""
    answer = await door.http.post("/tips/batch", content=lines)
    assert (400, type) == (answer.status_code, answer.json()["type"])
    assert "Content-Type: application/x-ndjson" in answer.json()["detail"]


async def test_lines_that_hold_nothing_are_refused(door):
    """As an empty list is."""
    answer = await door.http.post("/tips/batch", content="\n\n", headers={"Content-Type": "application/x-ndjson"})
    assert (400, "invalid") == (answer.status_code, answer.json()["type"])


async def test_a_batch_keeps_its_order_on_the_way_to_the_page(platform, page):
    """Sixty tips of one batch are played in the order of the list."""
    items = [{"id": f"b{n}", "model": "coco", "tipper": "john", "amount": 1 + n} for n in range(60)]
    await platform.http.post("/tips/batch", json=items)
    assert [f"b{n}" for n in range(60)] == [(await page.play())["id"] for _ in range(60)]


@pytest.mark.parametrize("items", [{}, "x", [], [{}] * 1001, None])
async def test_a_batch_that_is_none_is_refused(door, items):
    """400 that says how many tips a batch may hold."""
    answer = await door.http.post("/tips/batch", content=json.dumps(items))
    assert 400 == answer.status_code
    assert "1 to 1000" in answer.json()["detail"]


# -- Lists ----------------------------------------------------------


async def test_a_page_of_receipts_leads_to_the_next(platform):
    """`next` is where the following page begins; together they hold every tip once, oldest first."""
    for n in range(5):
        await platform.accepted(f"t{n}")
    found, after = [], "0"
    while after:
        answer = (await platform.http.get("/tips", params={"limit": 2, "after": after})).json()
        found += [tip["id"] for tip in answer["tips"]]
        after = answer["next"]
    assert [f"t{n}" for n in range(5)] == found


async def test_receipts_are_filtered_by_model_and_status(platform, page):
    """`model` and `status` narrow the list, alone and together."""
    await platform.register("kim", "Kim")
    await platform.accepted("k1", model="kim")
    await platform.accepted("t1")
    await page.play()
    await platform.until("t1", "played")
    await platform.hold()
    await platform.accepted("t2")

    async def ids(**query: str) -> list[str]:
        return [tip["id"] for tip in (await platform.http.get("/tips", params=query)).json()["tips"]]

    assert ["k1"] == await ids(model="kim")
    assert ["k1", "t2"] == await ids(status="accepted")
    assert ["t2"] == await ids(status="accepted", model="coco")
    assert [] == await ids(model="nobody")


@pytest.mark.parametrize(
    ("field", "value"),
    [("status", "lost"), ("limit", "0"), ("limit", "many"), ("limit", "5000"), ("after", "-1")],
)
async def test_a_query_that_cannot_be_is_named(door, field, value):
    """400 with the field's name and what it held."""
    answer = await door.http.get("/tips", params={field: value})
    assert (400, field) == (answer.status_code, answer.json()["field"])
    assert value in answer.json()["detail"]


async def test_a_parameter_that_is_none_is_refused_and_not_repeated(door):
    """A filter with a typing error would show everybody's tips; its value may be a secret."""
    answer = await door.http.get("/tips", params={"modle": "coco"})
    assert (400, "modle") == (answer.status_code, answer.json()["field"])
    assert "use model, status, after, limit" in answer.json()["detail"]
    assert "coco" not in answer.text


@pytest.mark.parametrize("value", ["9" * 5000, "9" * 30, "٣", "1_0", "+1"])
async def test_a_number_that_is_none_is_no_500(door, value):
    """Digits of other scripts and endless ones are refused like any other word."""
    answer = await door.http.get("/tips", params={"after": value})
    assert 400 == answer.status_code


# -- Taking back ----------------------------------------------------------


async def test_a_waiting_tip_can_be_taken_back(relay, platform):
    """DELETE cancels it; the page that comes never sees it; asking again changes nothing."""
    await platform.accepted("t1")
    assert "cancelled" == (await platform.http.delete("/tips/t1")).json()["status"]
    assert "cancelled" == (await platform.http.delete("/tips/t1")).json()["status"]
    async with relay.page() as page:
        assert [] == await page.tips_so_far()
    assert ["accepted", "cancelled"] == await platform.statuses("t1")


async def test_a_sent_tip_cannot_be_taken_back(platform, page):
    """409 once it has left, and it stays what it is."""
    await platform.accepted("t1")
    await page.next_tip()
    answer = await platform.http.delete("/tips/t1")
    assert (409, "already_sent") == (answer.status_code, answer.json()["type"])
    assert "sent" == (await platform.receipt("t1"))["status"]


async def test_a_cancelled_tip_stays_cancelled_when_it_is_posted_again(platform):
    """A retry brings the record, not a second life."""
    await platform.accepted("t1")
    await platform.http.delete("/tips/t1")
    again = await platform.tip("t1")
    assert (200, "cancelled") == (again.status_code, again.json()["status"])


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/tips/no"), ("DELETE", "/tips/no"), ("POST", "/tips/no/resolve")]
)
async def test_a_tip_nobody_posted_is_not_found(door, method, path):
    """404 with the code unknown_tip."""
    answer = await door.http.request(method, path, json={"as": "skip"} if method == "POST" else None)
    assert (404, "unknown_tip") == (answer.status_code, answer.json()["type"])


# -- Time ----------------------------------------------------------


async def test_a_tip_whose_time_ran_out_is_expired_and_never_played(relay, platform, clock):
    """After its two minutes without a page it is expired; a page that comes then does not get it."""
    await platform.accepted("t1")
    clock.tick(119)
    await platform.accepted("t2")
    clock.tick(2)
    assert ["accepted", "expired"] == [step["status"] for step in (await platform.until("t1", "expired"))["timeline"]]
    async with relay.page() as page:
        assert ["t2"] == await page.tips_so_far()


async def test_a_tip_may_bring_its_own_patience(platform, clock):
    """`expires_in` counts instead of the setting."""
    await platform.accepted("t1", expires_in=5)
    clock.tick(4.9)
    assert "accepted" == (await platform.receipt("t1"))["status"]
    clock.tick(0.2)
    await platform.until("t1", "expired")


async def test_a_page_is_told_how_long_a_tip_may_still_wait(relay, platform, clock):
    """`ttl` is what is left, not what it began with."""
    await platform.accepted("t1", expires_in=60)
    clock.tick(25)
    async with relay.page() as page:
        assert 35 == pytest.approx((await page.next_tip())["ttl"])


async def test_a_tip_ends_after_a_restart_although_nobody_asks_for_its_model(tmp_path, clock):
    """Her page is away and stays away, and no call names her: the deadline is one all the same."""
    path = str(tmp_path / "relay.db")
    async with serving_coco(clock=clock, store=SqliteStore(path)) as relay:
        await relay.platform.accepted("t1", expires_in=60)
    async with serving(clock=clock, store=SqliteStore(path)) as relay:
        clock.tick(61)
        await relay.platform.until("t1", "expired")
