"""Models registered with the vendor: `getToken`, with the sandbox at the other end over real HTTP (facts.md 1.8)."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from accounts_kit import settings_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kit import FEED_KEY, Platform, Relay, eventually, serving
from sandbox_kit import DEVELOPER, Gallery, gallery

from relay.clock import TickingClock
from relay.errors import StoreUnavailable
from relay.names import NAME_LENGTH_MAX, clean_name
from relay.stores import Store
from relay.vendors.lovense import Lovense
from relay.web.server import listen_on

SECRET = DEVELOPER["developerToken"]
SHORT, LONG = 0.5, 30.0  # seconds for a step of a call: where nothing comes, and where something does
TROUBLE = (503, "vendor_unavailable")
NO = (502, "vendor_refused")


class Studio:
    """A platform whose models are registered with the vendor."""

    def __init__(self, relay: Relay, vendor: Gallery) -> None:
        self.relay, self.vendor, self.platform = relay, vendor, relay.platform

    async def put(self, model: str = "coco", name: str | None = None, query: str = "") -> Any:
        return await self.platform.http.put(f"/models/{model}{query}", json={} if name is None else {"name": name})

    def wait_longer(self) -> None:
        """From here on something comes."""
        caller = self.relay.wiring.vendor._client._caller
        caller._timeout = caller._http.timeout = LONG

    async def calls(self, model: str | None = None) -> int:
        calls = (await self.vendor.calls())["get_token"]
        return sum(one["calls"] for name, one in calls.items() if model in (None, name))

    async def token(self, model: str = "coco") -> str:
        """As the settings page's address holds it; `""` where there is none."""
        answer = await self.platform.http.get(f"/models/{model}/settings-page")
        return answer.json().get("settings_url", "=").rpartition("=")[2]

    async def known_as(self, model: str = "coco") -> str:
        """The model's name at the vendor's."""
        return (await self.vendor.get(f"/sandbox/models/{await self.token(model)}")).json()["model"]


@asynccontextmanager
async def studio(*, store: Store | None = None, patience: float = LONG, **changes: Any) -> AsyncIterator[Studio]:
    clock = TickingClock()
    async with gallery() as vendor:
        settings = replace(settings_for(vendor), **changes)
        lovense = Lovense(settings, clock, timeout=patience)
        async with serving(settings, clock, store=store, vendor=lovense) as relay:
            yield Studio(relay, vendor)


NAMES = [
    "Coco 🎉👩‍👩‍👧",
    "Tom & Jerry=1&mInfo=x",
    "50% + more",
    "a+b c%20d",
    "שרה كوكو",
    "'single' \"double\" `back` \\slash/",
    '{"mId":"stolen"}',
    "名前;,:#?",
    "Zoë",
    "long " * 50,
    "\ud83d half",
]


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_arrives_at_the_vendor_as_it_was(name):
    """The form is encoded once and rightly: the vendor knows her by the name that the relay cleaned."""
    async with studio() as one:
        answer = await one.platform.http.put("/models/coco", content=json.dumps({"name": name}))
        assert (201, clean_name(name)) == (answer.status_code, answer.json()["name"])
        assert answer.json()["name"] == await one.known_as()
        assert len(answer.json()["name"]) <= NAME_LENGTH_MAX


async def test_a_token_is_asked_for_once_and_never_again():
    """Whatever the platform repeats; another name is ours alone, and a restart asks for nothing."""
    async with studio() as one:
        assert [201, 200, 200] == [(await one.put(name=name)).status_code for name in ("Coco", "Coco", "Kiki")]
        assert (1, "Kiki") == (await one.calls(), (await one.put()).json()["name"])
        settings, store = one.relay.wiring.settings, one.relay.wiring.store
        async with serving(settings, store=store) as again:
            assert 200 == (await again.platform.register()).status_code
        assert 1 == await one.calls()


async def test_fifty_registrations_of_several_models_make_one_call_each():
    """Interleaved, while the vendor takes its time; one client leaves in the middle, and loses nobody's token."""
    async with studio() as one:
        await one.vendor.order(get_token="timeout_before", hang_seconds=0.3, failures=3)
        models = ["coco", "kim", "zoe"]
        slow = [asyncio.create_task(one.put(model, model)) for model in models]
        await eventually(lambda: 3 == len(one.relay.wiring.models._under_way), "three calls")
        answers = await asyncio.gather(*slow, *(one.put(models[n % 3], f"n{n % 3}") for n in range(9)))
        assert {TROUBLE} == {(answer.status_code, answer.json()["type"]) for answer in answers}
        assert 3 == await one.calls()  # a failure is shared, too: nobody waits in line for another one

        await one.vendor.order(answer_delay=0.2)
        async with Platform(one.relay.url) as impatient:
            leaving = asyncio.create_task(impatient.register("coco", "Coco"))
            await eventually(lambda: one.relay.wiring.models._under_way, "a call")
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        answers = await asyncio.gather(*(one.put(models[n % 3], models[n % 3]) for n in range(50)))
        assert {200, 201} >= {answer.status_code for answer in answers}
        assert [2, 2, 2] == [await one.calls(model) for model in models]
        assert 3 == len({await one.token(model) for model in models} - {""})


async def test_a_registration_goes_on_without_its_asker():
    """Even a task that is cancelled leaves the vendor's call and its answer alone."""
    async with studio() as one:
        models = one.relay.wiring.models
        await one.vendor.order(answer_delay=0.2)
        first, second = (asyncio.create_task(models.register("coco", "Coco")) for _ in range(2))
        await eventually(lambda: models._under_way, "a call")
        first.cancel()
        record, new = await second
        assert (False, 1) == (new, await one.calls())
        assert record.token is not None


async def test_only_one_of_many_registrations_is_the_first():
    """201 once; the name that came last holds."""
    async with studio() as one:
        answers = await asyncio.gather(*(one.put(name=f"Coco {n}") for n in range(20)))
        assert [200] * 19 + [201] == sorted(answer.status_code for answer in answers)
        assert [f"Coco {n}" for n in range(20)] == [answer.json()["name"] for answer in answers]
        assert 1 == await one.calls()


WAYS = {
    "refuse_401": (*NO, "LOVENSE_DEVELOPER_TOKEN"),
    "refuse_402": (*NO, "another name"),
    "refuse_505": (*TROUBLE, "code 505"),
    "timeout_before": (*TROUBLE, "PUT the model again"),
    "timeout_after": (*TROUBLE, "PUT the model again"),
    "error_before": (*TROUBLE, "HTTP 502"),
    "error_after": (*TROUBLE, "HTTP 502"),
    "rate_limited": (*TROUBLE, "too many calls"),
    "html": (*TROUBLE, "no JSON"),
    "garbage": (*TROUBLE, "no JSON"),
    "truncated": (*TROUBLE, "no JSON"),
    "oversize": (*TROUBLE, "too much"),
    "drip": (*TROUBLE, "PUT the model again"),
}


@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("way", WAYS)
async def test_a_failure_says_what_to_do_and_holds_no_token(way, cut, capfd):
    """A problem document with a stable type; nothing is registered, and the next try is as good as the first."""
    silent = not cut and way in ("timeout_before", "timeout_after", "drip")
    async with studio(patience=SHORT if silent else LONG) as one:
        await one.vendor.order(get_token=way, hang_seconds=0 if cut else 60)
        answer = await one.put(name="Coco")
        status, kind, words = WAYS[way]
        assert (status, kind) == (answer.status_code, answer.json()["type"])
        assert words in answer.json()["detail"]
        assert silent == ("did not answer getToken within" in answer.json()["detail"])
        assert "application/problem+json" == answer.headers["content-type"]
        assert (503 == status) == ("retry-after" in answer.headers)
        assert 404 == (await one.platform.http.get("/models/coco")).status_code
        assert 1 == await one.calls()
        one.wait_longer()
        await one.vendor.order(get_token="ok")
        assert 201 == (await one.put(name="Coco")).status_code
        assert "" != await one.token()
        assert_silent(answer, capfd, await one.token())


@pytest.mark.parametrize("code", ["number", "text"])
@pytest.mark.parametrize("shape", ["nested", "text"])
async def test_every_shape_of_success_is_read(shape, code):
    """`data` as an object or as JSON text; `code` 200 or "200"."""
    async with studio() as one:
        await one.vendor.order(data=shape, code=code)
        assert 201 == (await one.put(name="Coco")).status_code
        assert 32 == len(await one.token())


@pytest.mark.parametrize("field", ["result", "code", "data", "mToken"])
@pytest.mark.parametrize("how", ["missing", "empty"])
async def test_success_without_what_makes_it_one_is_none(how, field, capfd):
    """`result` is true, the code says so, and the token stands in `data`: all three."""
    async with studio() as one:
        await one.vendor.order(**{how: field})
        answer = await one.put(name="Coco")
        assert TROUBLE == (answer.status_code, answer.json()["type"])
        assert "PUT the model again" in answer.json()["detail"]
        assert 404 == (await one.platform.http.get("/models/coco")).status_code
        assert_silent(answer, capfd)


async def test_a_token_beside_data_is_not_believed():
    """`data` is where the document says it stands."""
    async with studio() as one:
        await one.vendor.order(data="flat")
        assert TROUBLE[0] == (await one.put(name="Coco")).status_code


async def test_a_vendor_that_does_not_listen_is_named(capfd):
    """The connection is refused: the setting to look at."""
    async with studio(lovense_api_url="http://127.0.0.1:1") as one:
        answer = await one.put(name="Coco")
        assert TROUBLE == (answer.status_code, answer.json()["type"])
        assert "LOVENSE_API_URL" in answer.json()["detail"]
        assert_silent(answer, capfd)


async def test_a_vendor_that_speaks_no_tls_is_named(capfd):
    """https to a port of http."""
    async with studio() as one:
        one.relay.wiring.vendor._client._caller._base = str(one.vendor.base_url).replace("http:", "https:").rstrip("/")
        answer = await one.put(name="Coco")
        assert TROUBLE == (answer.status_code, answer.json()["type"])
        assert "TLS: " in answer.json()["detail"]
        assert "LOVENSE_API_URL" in answer.json()["detail"]
        assert (0, 404) == (await one.calls(), (await one.platform.http.get("/models/coco")).status_code)
        assert_silent(answer, capfd)


async def test_a_certificate_that_nobody_signed_is_not_believed(capfd, tmp_path):
    """The developer token is not given to whoever answers."""
    heard: list[bytes] = []

    async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    listener = await listen_on("127.0.0.1", 0)
    port = listener.getsockname()[1]
    async with (
        await asyncio.start_server(answers, sock=listener, ssl=self_signed(tmp_path)),
        studio(lovense_api_url=f"https://127.0.0.1:{port}") as one,
    ):
        answer = await one.put(name="Coco")
        assert TROUBLE == (answer.status_code, answer.json()["type"])
        assert "self-signed certificate" in answer.json()["detail"]
        assert b"" == b"".join(heard)
        assert_silent(answer, capfd)


def self_signed(folder: Any) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(private + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


async def test_a_store_that_fails_after_the_vendors_answer_loses_nothing_for_good():
    """503, and PUT again asks the vendor again: its answer is the same token or a better one."""
    async with studio() as one:
        store = one.relay.wiring.store
        keep = store.keep

        def full(change: Any) -> Any:
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(StoreUnavailable("full"))
            return failed if change.model is not None else keep(change)

        store.keep = full
        answer = await one.put(name="Coco")
        assert (503, "store_unavailable") == (answer.status_code, answer.json()["type"])
        store.keep = keep
        assert 201 == (await one.put(name="Coco")).status_code
        assert 2 == await one.calls()


# -- Renewal -----------------------------------------------------------------------------------------------------------


async def test_a_renewed_token_takes_the_old_ones_place():
    """At once in the settings page and the ticket answer; at her next welcome in a live page."""
    async with studio() as one:
        await one.put(name="Coco")
        old = await one.token()
        async with one.relay.page() as page:
            assert page.welcome["vendor"]["script"].endswith(old)
            await one.vendor.order(fresh_tokens=True)
            assert 200 == (await one.put(query="?renew=true")).status_code
            new = await one.token()
            assert old != new
            ticket = (await one.platform.http.post("/models/coco/ticket")).json()
            assert ticket["settings_url"].endswith(new)
        async with one.relay.page(journal="j_second") as page:
            assert page.welcome["vendor"]["script"].endswith(new)
        assert "Coco" == await one.known_as()


async def test_a_page_that_was_arriving_while_the_token_was_renewed_gets_the_new_one():
    """The welcome is written when she sits, not when she knocks."""
    async with studio() as one:
        await one.put(name="Coco")
        await one.vendor.order(fresh_tokens=True)
        door = one.relay.wiring.hub.arriving.setdefault("coco", asyncio.Lock())
        async with door:
            entering = one.relay.page()
            arriving = asyncio.create_task(entering.__aenter__())
            await eventually(lambda: door._waiters, "a page at the door")
            assert 200 == (await one.put(query="?renew=true")).status_code
        page = await arriving
        assert page.welcome["vendor"]["script"].endswith(await one.token())
        await entering.__aexit__(None, None, None)


async def test_concurrent_renewals_make_one_call():
    """And all of them get its answer."""
    async with studio() as one:
        await one.put(name="Coco")
        await one.vendor.order(fresh_tokens=True)
        answers = await asyncio.gather(*(one.put(query="?renew=true") for _ in range(20)))
        assert {200} == {answer.status_code for answer in answers}
        assert 2 == await one.calls()


@pytest.mark.parametrize("way", WAYS)
async def test_a_renewal_that_fails_keeps_the_old_token(way):
    """Whatever went wrong."""
    async with studio() as one:
        await one.put(name="Coco")
        old = await one.token()
        await one.vendor.order(get_token=way, hang_seconds=0, fresh_tokens=True)
        answer = await one.put(name="Kiki", query="?renew=true")
        assert WAYS[way][0] == answer.status_code
        assert (old, "Coco") == (await one.token(), (await one.put()).json()["name"])


@pytest.mark.parametrize(
    ("query", "status"), [("?renew=false", 200), ("?renew=0", 200), ("?renew=yes", 400), ("?renew=", 400)]
)
async def test_a_renewal_is_asked_for_clearly(query, status):
    """A word that says neither is no "no"."""
    async with studio() as one:
        await one.put(name="Coco")
        answer = await one.put(query=query)
        assert (status, 1) == (answer.status_code, await one.calls())
        assert 200 == status or "'renew' must be true or false" in answer.json()["detail"]


# -- Where tokens go ---------------------------------------------------------------------------------------------------


async def test_a_token_goes_to_the_page_and_the_settings_page_and_nowhere_else():
    """Not to the platform's lists, not to any reader, not to metrics or health; caches keep no answer that has it."""
    async with studio() as one:
        await one.put(name="Coco")
        token = await one.token()
        for answer in (
            await one.platform.http.get("/models/coco/settings-page"),
            await one.platform.http.post("/models/coco/ticket"),
        ):
            assert token in answer.json()["settings_url"]
            assert "no-store" == answer.headers["cache-control"]
        async with (
            one.relay.feed() as all_seeing,
            one.relay.reader("chat") as chat,
            one.relay.reader("viewer") as viewer,
            one.relay.page() as page,
        ):
            assert token in page.welcome["vendor"]["script"]
            assert token not in str({**page.welcome, "vendor": None})
            await one.platform.accepted()
            for reader in (all_seeing, chat, viewer):
                await reader.next("tip")
                assert token not in str(reader.seen)
        for path in ("/models", "/models/coco", "/metrics", "/healthz", "/readyz", "/tips/t1", "/accounts", "/docs"):
            assert token not in (await one.platform.http.get(path)).text
        assert token not in (await one.put()).text
        async with Platform(one.relay.url, FEED_KEY) as chat_backend:
            for path in ("settings-page", "ticket"):
                assert token not in (await chat_backend.http.get(f"/models/coco/{path}")).text


def assert_silent(answer: Any, capfd: Any, *tokens: str) -> None:
    """Neither the answer nor the log holds the developer's or a model's token."""
    said = f"{answer.text} {answer.headers} {capfd.readouterr()}"
    assert [] == [token for token in (SECRET, *tokens) if token in said]
