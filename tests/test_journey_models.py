"""Models: registered with the vendor once; what their pages need. The vendor is the sandbox, over real sockets."""

import asyncio
from dataclasses import replace

import pytest
import uvicorn
from kit import ENCRYPTION_KEY, SETTINGS, serving

from relay.clock import TickingClock
from relay.sandbox import create_app
from relay.secret import Secret
from relay.stores.sqlite import SqliteStore
from relay.web.server import listen_on, url_of


class Vendor:
    """The sandbox with a count of who asked for tokens."""

    def __init__(self):
        self.app = create_app(developer_token="our-developer-token")
        self.asked = 0

    async def __call__(self, scope, receive, send):
        self.asked += "getToken" in scope.get("path", "")
        await self.app(scope, receive, send)


@pytest.fixture
async def vendor():
    vendor = Vendor()
    listener = await listen_on("127.0.0.1", 0)
    vendor.url = url_of(listener)
    server = uvicorn.Server(uvicorn.Config(vendor, log_config=None, lifespan="off"))
    serves = asyncio.create_task(server._serve([listener]))
    yield vendor
    server.should_exit = True
    await serves
    listener.close()


@pytest.fixture
def settings(vendor):
    return replace(
        SETTINGS,
        developer_token=Secret("our-developer-token"),
        encryption_keys=(Secret(ENCRYPTION_KEY),),
        lovense_api_url=vendor.url,
    )


@pytest.fixture
async def relay(settings, tmp_path):
    async with serving(settings, TickingClock(), store=SqliteStore(str(tmp_path / "relay.db"))) as relay:
        yield relay


async def test_a_model_is_registered_with_the_vendor_once(vendor, platform):
    """201, then 200 as often as one likes: the vendor is asked once, whoever races."""
    answers = await asyncio.gather(*(platform.register() for _ in range(5)))
    assert [200] * 4 + [201] == sorted(answer.status_code for answer in answers)
    assert 1 == vendor.asked
    assert answers[0].json()["registered"]


async def test_a_token_can_be_renewed(vendor, platform):
    """`?renew=true`, for when the vendor lost it."""
    await platform.register()
    await platform.http.put("/models/coco?renew=true", json={})
    assert 2 == vendor.asked


async def test_a_page_gets_the_vendors_script_in_its_welcome_only(vendor, platform, relay):
    """The token travels to the model's own page; no answer to the platform's lists holds it."""
    await platform.register()
    async with relay.page() as page:
        script = page.welcome["vendor"]["script"]
        assert script.startswith(f"{vendor.url}/api/cam/model/v2/model.js?mToken=")
        assert 200 == (await platform.http.get(script)).status_code
        token = script.rpartition("=")[2]
        for path in ("/models", "/models/coco", "/metrics"):
            assert token not in (await platform.http.get(path)).text


async def test_a_ticket_comes_with_the_vendors_settings_page(vendor, platform):
    """For the model's own eyes, and it is there."""
    await platform.register()
    answer = (await platform.http.post("/models/coco/ticket")).json()
    assert answer["settings_url"].startswith(f"{vendor.url}/api/cam/model/v2/setting?mToken=")
    assert 200 == (await platform.http.get(answer["settings_url"])).status_code
    assert {"ticket", "expires_at", "script", "settings_url"} == answer.keys()


async def test_a_token_is_encrypted_on_disk(platform, relay, tmp_path):
    """Neither the database nor its log holds it readably."""
    await platform.register()
    async with relay.page() as page:
        token = page.welcome["vendor"]["script"].rpartition("=")[2].encode()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"coco" in kept
    assert token not in kept


async def test_a_vendor_that_says_no_is_a_502(platform, relay):
    """With a remedy, without our token; the model is not registered."""
    relay.wiring.vendor._client._developer_token = Secret("wrong-token-9")
    answer = await platform.register()
    assert (502, "vendor_refused") == (answer.status_code, answer.json()["type"])
    assert "LOVENSE_DEVELOPER_TOKEN" in answer.json()["detail"]
    assert "wrong-token-9" not in answer.text
    assert 404 == (await platform.http.get("/models/coco")).status_code


class TestVendorAway:
    @pytest.fixture
    def settings(self, settings):
        return replace(settings, lovense_api_url="http://127.0.0.1:1")

    async def test_a_vendor_that_does_not_answer_is_a_503(self, platform):
        """With Retry-After; nothing was kept, and trying again is right."""
        answer = await platform.register()
        assert (503, "vendor_unavailable") == (answer.status_code, answer.json()["type"])
        assert int(answer.headers["retry-after"])


@pytest.mark.parametrize("name", ["", "  ", "\u200b", 7, True, [], {}])
async def test_a_name_that_is_none_is_refused(platform, name):
    """400 that names the field; null means "as it was"."""
    answer = await platform.http.put("/models/coco", json={"name": name})
    assert 400 == answer.status_code
    assert "'name'" in answer.json()["detail"]


async def test_a_models_name_may_change(vendor, platform):
    """Without asking the vendor again; without a name it stays."""
    await platform.register()
    assert "Kiki" == (await platform.register(name="K\u202eiki")).json()["name"]
    assert "Kiki" == (await platform.register(name=None)).json()["name"]
    assert 1 == vendor.asked


@pytest.mark.parametrize("id", ["%20", "-x", "a%2Fb", "x" * 129, "%C3%A9", "a%0Ab", ".."])
async def test_an_id_that_is_none_is_refused(platform, id):
    """400 or 404, and never a model by that name."""
    answer = await platform.http.put(f"/models/{id}", json={"name": "x"})
    assert answer.status_code in (400, 404, 405)
    assert [] == (await platform.http.get("/models")).json()["models"]
