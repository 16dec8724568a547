"""For operators: alive, ready, metrics, the described API, our scripts. Nothing of it tells a secret."""

import base64
import hashlib
import re

import pytest
from kit import ENCRYPTION_KEY, FEED_KEY, KEY, SECRET, TIPS_KEY, eventually, with_settings
from starlette.routing import Route

from relay import __version__
from relay.tips import Status
from relay.web.app import make_app
from relay.web.scripts import SCRIPTS, source
from relay.web.wiring import wire


async def test_a_relay_that_answers_is_alive(door):
    """With its version."""
    answer = await door.http.get("/healthz")
    assert (200, {"status": "ok", "version": __version__}) == (answer.status_code, answer.json())


async def test_a_relay_whose_store_keeps_is_ready(door):
    """200, and says what it looked at."""
    answer = await door.http.get("/readyz")
    assert 200 == answer.status_code
    assert {"ready": True, "draining": False, "store": "ok", "why": None} == answer.json()


async def test_a_draining_relay_is_not_ready_and_still_takes_tips(relay, platform):
    """503 for the balancer; whoever comes all the same is served."""
    relay.wiring.draining = True
    answer = await platform.http.get("/readyz")
    assert (503, "draining") == (answer.status_code, answer.json()["why"])
    assert "retry-after" in answer.headers
    assert 202 == (await platform.tip("t1")).status_code


async def test_a_draining_relay_still_welcomes_pages(relay, platform):
    """Until the next process is there, somebody has to play the tips."""
    relay.wiring.draining = True
    async with relay.page() as page:
        await platform.accepted("t1")
        assert "t1" == (await page.play())["id"]
        await platform.until("t1", "played")


async def metrics(platform):
    text = (await platform.http.get("/metrics")).text
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def test_metrics_tell_what_is_so(relay, platform, page):
    """Pages, readers, tips in flight and waiting, right now."""
    async with relay.feed():
        for n in range(18):
            await platform.accepted(f"t{n}")
        await page.next_tip()
        found = await eventually(lambda: metrics(platform), "metrics")
        expected = {
            "relay_pages": 1,
            "relay_pages_ready": 1,
            "relay_readers": 1,
            "relay_tips_sent": 16,
            "relay_tips_waiting": 2,
            "relay_tips_uncertain": 0,
            "relay_store_healthy": 1,
            "relay_draining": 0,
        }
        assert expected.items() <= found.items()


async def test_metrics_count_every_step(platform, page):
    """Accepted, sent, played: each tip once in each."""
    before = await metrics(platform)
    await platform.accepted("t1")
    await page.play()
    await platform.until("t1", "played")
    after = await metrics(platform)

    def more(status):
        name = f'relay_tip_steps_total{{status="{status}"}}'
        return after[name] - before[name]

    assert {"accepted": 1, "sent": 1, "played": 1, "done": 0} == {
        status: more(status) for status in ("accepted", "sent", "played", "done")
    }


async def test_metrics_have_a_line_for_every_status(door):
    """Zeros too, so that a rate has a beginning."""
    found = await metrics(door)
    for status in Status:
        assert f'relay_tip_steps_total{{status="{status}"}}' in found


@pytest.mark.parametrize(
    "path", ["/metrics", "/openapi.json", "/healthz", "/readyz", "/docs", "/shim.js", "/elements.js"]
)
async def test_no_open_path_tells_a_secret_or_a_name(relay, platform, page, path):
    """No key, no ticket, no model, no tipper."""
    await platform.accepted("secret-tip-id", "a-tippers-name")
    await page.play()
    text = (await platform.http.get(path)).text
    told = [
        word
        for word in (KEY, TIPS_KEY, FEED_KEY, SECRET, ENCRYPTION_KEY, "a-tippers-name", "secret-tip-id")
        if word in text
    ]
    assert [] == told


# -- The API, described ----------------------------------------------------------


def routes():
    """Every HTTP route of the application, as OpenAPI writes them."""
    app = make_app(wire(with_settings()))
    return {
        (method.lower(), re.sub(r":\w+}", "}", route.path))
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or ()) - {"HEAD"}
    }


async def test_every_route_is_described_and_every_description_is_a_route(door):
    """But the pages about the API itself."""
    paths = (await door.http.get("/openapi.json")).json()["paths"]
    described = {(method, path) for path, methods in paths.items() for method in methods}
    own = {("get", "/openapi.json"), ("get", "/docs")}
    assert routes() - own == described - own


async def test_the_description_is_one(door):
    """OpenAPI 3.1 whose references lead somewhere; every status of a tip is in it."""
    spec = (await door.http.get("/openapi.json")).json()
    schemas = spec["components"]["schemas"]
    assert spec["openapi"].startswith("3.1")
    assert [status.value for status in Status] == schemas["Status"]["enum"]
    assert set(re.findall(r"#/components/schemas/(\w+)", str(spec))) <= schemas.keys()


async def test_what_is_answered_is_described(door):
    """The refusals of POST /tips are among its described statuses."""
    described = (await door.http.get("/openapi.json")).json()["paths"]["/tips"]["post"]["responses"].keys()
    bad = [
        await door.tip("t1", amount=0),
        await door.tip("t1", model="nobody"),
        await door.http.post("/tips", content="x"),
    ]
    assert {str(answer.status_code) for answer in bad} <= described


# -- Our scripts ----------------------------------------------------------

FILES = [file for files in SCRIPTS.values() for file in files]


async def given_lines(door):
    """What the relay tells a platform to put into its pages."""
    page = (await door.http.post("/models/coco/ticket")).json()["script"]
    viewer = (await door.http.post("/models/coco/feed-ticket")).json()["elements"]
    return f"{page}\n{viewer}"


@pytest.mark.parametrize("file", FILES)
async def test_an_exact_script_keeps_its_hash(door, file):
    """A ticket's lines pin every one: the hash in the line is the hash of what is served, for ever, to any page."""
    lines = await given_lines(door)
    path, integrity = re.search(rf'="http://[^/]+(/\w+/[^/"]+/{file})" integrity="([^"]+)" crossorigin', lines).groups()
    answer = await door.http.get(path)
    assert "sha384-" + base64.b64encode(hashlib.sha384(answer.content).digest()).decode() == integrity
    assert "immutable" in answer.headers["cache-control"]
    assert "*" == answer.headers["access-control-allow-origin"]


@pytest.mark.parametrize("file", FILES)
async def test_a_floating_script_is_fresh_within_five_minutes(door, file):
    """The same script, under an address that stays."""
    answer = await door.http.get(f"/{file}")
    assert "max-age=300" in answer.headers["cache-control"]
    assert "text/javascript; charset=utf-8" == answer.headers["content-type"]
    assert "*" == answer.headers["access-control-allow-origin"]


@pytest.mark.parametrize("path", ["/shim/0.0.0/shim.js", "/elements/0.0.0/elements.js", "/elements/0.0.0/feed.js"])
async def test_another_version_of_a_script_is_not_found(door, path):
    """404 that names the version there is."""
    answer = await door.http.get(path)
    assert 404 == answer.status_code
    assert __version__ in answer.json()["detail"]


def test_a_module_imports_only_what_was_preloaded():
    """Its neighbours in the same folder, before itself: else the browser would fetch it without a hash."""
    *modules, _ = files = SCRIPTS["elements"]
    for n, file in enumerate(files):
        text = source(file).decode()
        assert {*re.findall(r'from "\./([^"]+)"', text)} <= {*modules[:n]}, file


async def test_the_shim_is_small(door):
    """At most 12 KB as it stands and 4 KB gzipped (design section 6)."""
    import gzip

    source = (await door.http.get("/shim.js")).content
    assert len(source) <= 12 * 1024
    assert len(gzip.compress(source, 9)) <= 4 * 1024
