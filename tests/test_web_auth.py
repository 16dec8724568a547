"""Who may call: API keys with rights, or Standard Webhooks signatures over the raw body."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from kit import FEED_KEY, KEY, TIPS_KEY, Platform
from standardwebhooks import Webhook

from relay.settings import BATCH_BODY_BYTES_MAX

BODY = json.dumps({"id": "t1", "model": "coco", "tipper": "john", "amount": 20})
CALLS = [  # every call that needs a right, and which one
    ("POST", "/tips", "tips"),
    ("POST", "/tips/batch", "tips"),
    ("GET", "/tips", "tips"),
    ("GET", "/tips/t1", "tips"),
    ("DELETE", "/tips/t1", "tips"),
    ("POST", "/tips/t1/resolve", "tips"),
    ("GET", "/models", "models"),
    ("GET", "/models/coco", "models"),
    ("PUT", "/models/coco", "models"),
    ("PUT", "/models/coco/hold", "models"),
    ("DELETE", "/models/coco/hold", "models"),
    ("POST", "/models/coco/stop", "models"),
    ("POST", "/models/coco/ticket", "models"),
    ("POST", "/models/coco/feed-ticket", "feed"),
    ("GET", "/feed", "feed"),
    ("GET", "/feed/coco", "feed"),
    ("POST", "/sinks", "feed"),
    ("GET", "/sinks", "feed"),
    ("GET", "/sinks/s1", "feed"),
    ("DELETE", "/sinks/s1", "feed"),
    ("POST", "/sinks/s1/enable", "feed"),
    ("POST", "/sinks/s1/rotate", "feed"),
    ("POST", "/sinks/s1/test", "feed"),
]


@pytest.fixture
async def nobody(door):
    """Calls without a key."""
    async with Platform(door.url, None) as caller:
        yield caller.http


def signed(body=BODY, key=KEY, at=None, id="msg_1"):
    at = at or datetime.now(UTC)
    signature = Webhook(key.encode()).sign(id, at, body)
    return {"webhook-id": id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


# -- Keys ----------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "_"), CALLS)
async def test_a_call_without_a_key_is_refused(nobody, method, path, _):
    """401 that says how to authenticate, on every path that is not for everybody."""
    answer = await nobody.request(method, path)
    assert (401, "unauthenticated") == (answer.status_code, answer.json()["type"])
    assert "Authorization: Bearer" in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer",
        "Basic dXNlcjpwYXNz",
        KEY,
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        "Bearer \xff\xe9",
    ],
)
async def test_a_wrong_key_is_refused(nobody, header):
    """401, however it is wrong, and the key is not repeated in the answer."""
    answer = await nobody.get("/models", headers={"Authorization": header.encode("latin-1")})
    assert 401 == answer.status_code
    assert KEY not in answer.text


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}], ids=["no key", "a wrong one"])
async def test_a_batch_of_nobodys_is_refused_before_it_is_read(nobody, headers):
    """Nothing of it is kept or looked at, not even its size: 401 and not 413. Who closes behind it hears that too."""
    for more in ({}, {"Connection": "close"}):
        body = b" " * (BATCH_BODY_BYTES_MAX - 1)
        answer = await nobody.post("/tips/batch", content=body, headers=headers | more)
        assert 401 == answer.status_code
    answer = await nobody.post("/tips/batch", content=b" " * (BATCH_BODY_BYTES_MAX + 1), headers=headers)
    assert 401 == answer.status_code


@pytest.mark.parametrize("header", [f"bearer {KEY}", f"BEARER {KEY}", f"Bearer   {KEY}"])
async def test_the_schemes_letters_do_not_matter(nobody, header):
    """As RFC 9110 has it."""
    assert 200 == (await nobody.get("/models", headers={"Authorization": header})).status_code


@pytest.mark.parametrize(("method", "path", "right"), CALLS)
@pytest.mark.parametrize("key", [TIPS_KEY, FEED_KEY], ids=["tips", "feed"])
async def test_a_keys_rights_end_where_they_end(door, method, path, right, key):
    """403 that names the right which is missing; nothing else is looked at before."""
    if right == {TIPS_KEY: "tips", FEED_KEY: "feed"}[key]:
        return
    async with Platform(door.url, key) as caller:
        answer = await caller.http.request(method, path)
        assert (403, "forbidden") == (answer.status_code, answer.json()["type"])
        assert f"'{right}'" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/shim.js"])
async def test_some_paths_are_for_everybody(nobody, path):
    """Balancers, scrapers and browsers have no key."""
    assert 200 == (await nobody.get(path)).status_code


# -- Signatures ----------------------------------------------------------


async def test_a_signed_tip_is_taken(relay):
    """No key on the wire: the secret signs the raw body."""
    async with Platform(relay.url, None) as caller:
        answer = await caller.http.post("/tips", content=BODY, headers=signed())
        assert 202 == answer.status_code


async def test_rights_hold_for_signatures_too(nobody):
    """A feed key's signature takes no tips."""
    assert 403 == (await nobody.post("/tips", content=BODY, headers=signed(key=FEED_KEY))).status_code


@pytest.mark.parametrize("minutes", [-6, 6, -60 * 24, 60 * 24])
async def test_a_stale_signature_is_refused(nobody, minutes):
    """More than five minutes old, or from the future."""
    headers = signed(at=datetime.now(UTC) + timedelta(minutes=minutes))
    assert 401 == (await nobody.post("/tips", content=BODY, headers=headers)).status_code


async def test_a_tampered_body_is_refused(nobody):
    """One byte more, and it is not what was signed."""
    assert 401 == (await nobody.post("/tips", content=BODY.replace("20", "9000"), headers=signed())).status_code
    assert 401 == (await nobody.post("/tips", content=BODY + " ", headers=signed())).status_code


async def test_another_secrets_signature_is_refused(nobody):
    """401."""
    assert 401 == (await nobody.post("/tips", content=BODY, headers=signed(key="somebody else's key"))).status_code


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": None},
        {"webhook-id": ""},
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": None},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-timestamp": "NaN"},
        {"webhook-timestamp": "inf"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": str(int(time.time()) - 1)},
        {"webhook-signature": None},
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,!!!"},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v2,AAAA"},
        {"webhook-signature": "v1,a,b"},
        {"webhook-signature": ",,"},
        {"webhook-signature": "\xff\xfe"},
        {"webhook-id": "\xff"},
    ],
)
async def test_malformed_signature_headers_are_refused(nobody, changed):
    """401, never a 500: whatever is in them."""
    headers = {name: value for name, value in (signed() | changed).items() if value is not None}
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = await nobody.post("/tips", content=BODY, headers=raw)
    assert (401, "unauthenticated") == (answer.status_code, answer.json()["type"])


async def test_a_signed_batch_is_taken(relay):
    """The signature is over the whole body."""
    async with Platform(relay.url, None) as caller:
        batch = f"[{BODY}]"
        answer = await caller.http.post("/tips/batch", content=batch, headers=signed(batch))
        assert [202] == [one["status_code"] for one in answer.json()]
        forged = await caller.http.post("/tips/batch", content=batch + " ", headers=signed(batch))
        assert 401 == forged.status_code


async def test_a_body_that_is_no_utf8_can_be_signed_and_refused(nobody):
    """The signature is over bytes; what they mean is looked at afterwards or not at all, and never a 500."""
    answer = await nobody.post("/tips", content=b'{"id": "\xff"}', headers=signed())
    assert answer.status_code in (400, 401)


async def test_one_good_signature_among_several_is_enough(relay):
    """A sender that rotates its secret signs with both."""
    headers = signed()
    headers["webhook-signature"] = "v1,AAAA " + headers["webhook-signature"]
    async with Platform(relay.url, None) as caller:
        assert 202 == (await caller.http.post("/tips", content=BODY, headers=headers)).status_code
