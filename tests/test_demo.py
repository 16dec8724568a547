"""The demo from outside: what it prints, what it answers, how it ends."""

from __future__ import annotations

import re
from pathlib import Path

from demo_kit import demo

from relay.demo_platform import Platform


async def test_it_prints_its_address_and_a_line_that_works(tmp_path: Path):
    """Two lines; the second posts a tip as it stands, and another one when it is pasted again."""
    async with demo(tmp_path) as running:
        assert re.fullmatch(r"demo: http://127\.0\.0\.1:\d+/\n", running.lines[0])
        assert running.lines[1].startswith("curl ")
        first, second = await running.paste(), await running.paste()
        assert ["accepted", "accepted"] == [first["status"], second["status"]]
        assert first["id"] != second["id"]
        assert {"online": False, "ready": False, "toys": None} == first["page"]


def databases(folder: Path) -> list[Path]:
    return list(folder.glob("relay-demo-*/*.db"))


async def test_it_ends_cleanly_and_leaves_nothing(tmp_path: Path):
    """Ctrl-C: exit code 0, no third line, and the database is gone."""
    async with demo(tmp_path) as running:
        assert 1 == len(databases(tmp_path))
        assert 0 == await running.interrupt()
        assert running.process.stdout is not None
        assert "" == running.process.stdout.read()
        assert [] == databases(tmp_path)


async def test_a_named_database_serves_the_next_demo(tmp_path: Path):
    """With --db the tips of the last demo are there, and the model's page still gets what it needs."""
    database = tmp_path / "kept.db"
    async with demo(tmp_path, "--db", str(database)) as running:
        tip = (await running.paste())["id"]
        assert 0 == await running.interrupt()
    async with demo(tmp_path, "--db", str(database)) as running:
        assert "accepted" == (await running.receipt(tip))["status"]
        assert "<script data-ticket-url=" in (await running.http.get("/demo/broadcaster")).text


async def test_one_port_serves_relay_vendor_and_pages(tmp_path: Path):
    """The path says whose door it is, and each refuses in its own words."""
    async with demo(tmp_path) as running:
        http = running.http
        for path in ("/", "/demo/broadcaster", "/docs", "/shim.js", "/readyz", "/demo/static/demo.js"):
            assert 200 == (await http.get(path)).status_code, path
        settings = re.search(r'href="([^"]*/setting[^"]*)"', (await http.get("/demo/broadcaster")).text)
        assert settings is not None
        assert 200 == (await http.get(settings[1])).status_code
        for path in ("/demo/static/index.html", "/demo/static/..%2findex.html", "/demo/nothing", "/sandbox/nothing"):
            assert 404 == (await http.get(path)).status_code, path
        assert "unauthenticated" == (await http.get("/models")).json()["type"]


async def test_the_platform_passes_the_relays_refusals_on(tmp_path: Path):
    """What the relay says to a bad tip reaches the viewer; what is no tip at all does not reach the relay."""
    async with demo(tmp_path) as running:
        path = "/demo/api/tips"
        refused = await running.http.post(path, json={"tipper": "john", "amount": 0})
        assert (400, "invalid") == (refused.status_code, refused.json()["type"])
        assert "'amount'" in refused.json()["detail"]
        assert 415 == (await running.http.post(path, content="{}", headers={"content-type": "text/plain"})).status_code
        headers = {"content-type": "application/json"}
        for body, status in (("{", 400), ("[]", 400), ("[" * 5000, 413)):
            assert status == (await running.http.post(path, content=body, headers=headers)).status_code
        assert 404 == (await running.http.get(f"{path}/unknown")).status_code


async def test_the_line_goes_past_a_proxy():
    """Where the environment names a proxy, curl is told to leave it aside."""
    platform = Platform("http://127.0.0.1:1", "key", proxied=True)
    assert "curl -sS --noproxy '*' http://127.0.0.1:1/tips " in platform.curl
    await platform.close()
