"""docs/adding-a-vendor.md in a real Chromium: the shim loads its script, plays a tip on it, and passes its words on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from shim_kit import open_stage

pytestmark = pytest.mark.browser

GUIDE = (Path(__file__).parents[2] / "docs" / "adding-a-vendor.md").read_text()


async def test_the_guides_script_has_the_face_that_the_shim_knows():
    """A tip is played and shown; a stop takes it down, a release brings it back."""
    (script,) = re.findall(r"^```js\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
    async with open_stage() as stage, stage.broadcast(world="", models=(script,)) as coco:
        relay = await coco.live()
        assert {"b1": True} == (await relay.event(type="boxes"))["event"]["boxes"]
        assert "played" == await relay.play("t1", tipper="john", amount=20)
        assert [] == (await relay.event(type="buzzing", now=[]))["event"]["next"]
        told = [frame["event"] for frame in relay.frames if "event" == frame["type"]]
        assert [{"for": "john", "tokens": 20, "seconds": 1}] == told[1]["now"]
        await relay.send("stop")
        assert not (await relay.next("vendor"))["ready"]
        await relay.send("release")
        assert (await relay.next("vendor"))["ready"]
