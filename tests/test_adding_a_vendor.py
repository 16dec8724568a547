"""docs/adding-a-vendor.md, followed to the letter: its vendor is plugged in, and a tip goes all the way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import ENCRYPTION_KEY, KEY, ORIGIN, Platform, live_page

from relay import recordings, replays
from relay.clock import Clock
from relay.doctor import examine
from relay.errors import BadSettings
from relay.events import Event, Unknown
from relay.secret import Secret
from relay.settings import Settings
from relay.vendors import Vendor, find_vendor

GUIDE = (Path(__file__).parents[1] / "docs" / "adding-a-vendor.md").read_text()
LINES_MAX = 40  # a toy of about thirty lines


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    return found


ENVIRONMENT = dict(re.findall(r"^export (\w+)=(\S+)$", block("sh"), re.MULTILINE))
RECORDING = block("json").splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the guide's reader stands: the module is there."""
    (tmp_path / "buzzbox.py").write_text(block("python"))
    return tmp_path


@pytest.fixture
def buzzbox(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The vendor as the relay makes it."""
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("BUZZBOX_SECRET", ENVIRONMENT["BUZZBOX_SECRET"])
    monkeypatch.delitem(sys.modules, "buzzbox", raising=False)
    yield find_vendor(ENVIRONMENT["RELAY_VENDOR"])(Settings(), Clock())
    sys.modules.pop("buzzbox", None)


async def test_a_tip_goes_all_the_way(relay_process, folder):
    """Into a relay that was started as the guide says: the page is given the vendor's script, the tip is played, and
    the vendor's words make its receipt, the state and the feed."""
    env = ENVIRONMENT | {"PYTHONPATH": str(folder), "RELAY_ENCRYPTION_KEYS": ENCRYPTION_KEY}
    async with await relay_process(**env).start() as platform:
        assert (await platform.register()).json()["registered"]
        async with live_page(platform) as page:
            assert page.welcome["vendor"]["script"].startswith("https://api.buzzbox.example/model.js?mToken=")
            await platform.accepted("t1", tipper="john", amount=20)
            await page.play()
            await platform.until("t1", "played")
            for event in (json.loads(line)["event"] for line in RECORDING if '"event"' in line):
                if event == {"type": "buzzing", "now": [], "next": []}:
                    assert 3 == (await platform.until("t1", "running"))["timeline"][-1]["evidence"]["seconds"]
                    state = await platform.until_state(lambda state: state["queue"]["running"])
                    assert ["t1"] == [one["tip"] for one in state["queue"]["running"]]
                    assert [("b1", True)] == [(toy["id"], toy["on"]) for toy in state["toys"]["list"]]
                await page.hear(event)
            await platform.until("t1", "done")
        texts = await announcements(platform)
    assert "Buzzing for john!" in texts


async def announcements(platform: Platform) -> list[str]:
    found = []
    async with platform.http.stream("GET", "/feed/coco", params={"last": 100}) as answer:
        async for line in answer.aiter_lines():
            entry = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if "announcement" == entry.get("type"):
                found.append(entry["text"])
                if "vendor" == entry["source"]:
                    return found
    return found


async def test_its_recording_can_be_replayed(relay_process, folder):
    """As the guide shows it."""
    process = relay_process(**ENVIRONMENT | {"PYTHONPATH": str(folder), "RELAY_ENCRYPTION_KEYS": ENCRYPTION_KEY})
    async with await process.start():
        _, lines = recordings.read(RECORDING)
        how = {"url": process.url, "key": KEY, "origin": ORIGIN, "model": "coco", "speed": 0.0}
        done = await replays.into_relay(lines, **how)
    assert (1, 4, 0) == (done["tips"], done["events"], done["left_out"])


def test_it_keeps_the_contract(buzzbox):
    """Every name of it; and it is short."""
    assert [] == [name for name in vars(Vendor) if not name.startswith("_") and not hasattr(buzzbox, name)]
    assert buzzbox.script_url(Secret("a&b")) != buzzbox.settings_url(Secret("a&b"))
    assert len([line for line in block("python").splitlines() if line]) <= LINES_MAX


def test_it_never_raises(buzzbox):
    """Whatever a page sends."""
    words = st.sampled_from(["type", "buzzing", "boxes", "says", "now", "next", "for", "words", "tokens"])
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
        max_leaves=12,
    )

    @given(anything)
    def reads(raw: Any) -> None:
        assert isinstance(buzzbox.read(raw).event, Event)

    reads()
    assert isinstance(buzzbox.read({"type": "new"}).event, Unknown)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lovens", "'lovens' is no vendor: use one of lovense, or module:factory"),
        ("nobody_has_this:Vendor", "cannot be had: No module named 'nobody_has_this'"),
        ("relay.vendors.lovense:Hate", "cannot be had: .* has no attribute 'Hate'"),
        (":x", "cannot be had"),
    ],
)
def test_a_vendor_that_is_not_there_is_named(name, words):
    """By `relay serve`, and by the doctor."""
    with pytest.raises(BadSettings, match=f"RELAY_VENDOR: .*{words}"):
        find_vendor(name)
    assert any(re.search(words, line) for line in examine({"RELAY_VENDOR": name})[0])


def test_serve_says_so(tmp_path):
    """One line, and exit code 2."""
    from kit import ENVIRONMENT as RUNNING

    run = subprocess.run(
        [str(Path(sys.executable).with_name("relay")), "serve", "--port", "0", "--store", "memory:"],
        env=RUNNING | {"RELAY_VENDOR": "lovens"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (2, "") == (run.returncode, run.stdout)
    assert "RELAY_VENDOR: 'lovens' is no vendor" in run.stderr
