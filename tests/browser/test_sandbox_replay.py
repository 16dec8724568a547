"""A recording in the sandbox: its model.js says the vendor's words on a page in a real Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox_stage import open_stage

from relay import recordings, replays
from relay.recordings import EventLine
from relay.replays.stage import ReplayFailed

pytestmark = pytest.mark.browser

FILE = Path(__file__).parents[1] / "recordings" / "siblings.jsonl"


async def test_a_page_hears_the_recording_and_nothing_else():
    """In order and as it stands; the script's own queue is silent meanwhile, and speaks again afterwards."""
    _, lines = recordings.read(FILE.read_bytes().splitlines())
    events = [line.event for _, line in lines if isinstance(line, EventLine)]
    async with open_stage(speed=20, settings_delay=0) as stage:
        how = {"url": f"http://127.0.0.1:{stage.port}", "developer_token": "d", "model": "m1", "speed": 0}
        with pytest.raises(ReplayFailed, match=r"line 3: no live page of model 'm1' has this sandbox's model.js"):
            await replays.into_sandbox(lines, **how)
        async with stage.broadcast() as model:
            before = len(await model.seen())
            done = await replays.into_sandbox(lines, name="Coco", **how)
            await model.until(f"seen.length >= {before + len(events)}")
            assert events == (await model.seen())[before:]
            assert {"model": "m1", "events": len(events), "pages": 1} == done
            await model.tip("john", 5)
            await model.idle_after(tips=1)
