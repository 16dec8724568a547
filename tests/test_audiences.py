"""No byte of the feed reaches who it is not for: two models, all audiences, both transports, whatever happens.

Everything that happens carries words of its own to be recognised by: of which model, and for whose eyes.
"""

import asyncio

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from unit_kit import House, settle

from relay.clock import TickingClock
from relay.feeds import Audience
from relay.followers import Followers
from relay.web import feed_sse, feed_websocket

MODELS = ("coco", "dana")
FRAMINGS = {"sse": feed_sse.framing, "websocket": feed_websocket.framing}

# For whose eyes a word is: everybody's in the room, those who draw it, or the platform's alone.
ROOM, DRAWN, SECRET = "room", "drawn", "secret"
SEES = {Audience.VIEWER: {ROOM, DRAWN}, Audience.CHAT: {ROOM}, Audience.PLATFORM: {ROOM, DRAWN, SECRET}}


def word(model, eyes, what):
    return f"Zq{model}{eyes}{what}"


class Ears:
    """A reader's connection: every byte that was written to it."""

    def __init__(self):
        self.bytes = b""

    def write(self, data):
        self.bytes += data

    def allow(self, size):
        """However much waits for it."""

    def finish(self, code):
        raise AssertionError(f"cut with {code}")


class Town:
    """A relay's hub and followers with two models, and everybody who may listen."""

    async def open(self, framing):
        self.framing = framing
        self.house = House(reaction_grace=20.0)
        self.clock = self.house.clock
        self.followers = Followers(self.house.store, TickingClock())
        self.house.store.follow(self.followers.publish)
        for model in MODELS:
            await self.house.with_model(model)
        self.pages = {model: await self.house.page(model=model) for model in MODELS}
        self.tips = dict.fromkeys(MODELS, 0)
        self.readers = []
        await self.listen()
        return self

    async def listen(self, last=0):
        for model in (*MODELS, None):
            for audience in Audience if model else [Audience.PLATFORM]:
                ears = Ears()
                self.followers.follow(ears, model=model, audience=audience, framing=self.framing, last=last)
                self.readers.append((model, audience, ears))
        await settle()

    async def walk(self, model, step):
        page, house = self.pages[model], self.house
        secret, room, drawn = (lambda what, eyes=eyes: word(model, eyes, what) for eyes in (SECRET, ROOM, DRAWN))
        self.tips[model] += 1
        n = self.tips[model]
        match step:
            case "tip":
                await house.tip(room(f"tip{n}"), model=model, tipper=room("tipper"), amount=7)
            case "private tip":
                await house.tip(secret(f"tip{n}"), model=model, tipper=secret("tipper"), amount=13, private=True)
            case "anonymous tip":
                await house.tip(
                    room(f"anon{n}"), model=model, tipper=secret("real"), shown=room("alias"), amount=9, anonymous=True
                )
            case "flood":
                for k in range(12):
                    name = room(f"tipper{k % 7}")
                    await house.tip(room(f"flood{n}x{k}"), model=model, tipper=name, amount=3)
            case "play":
                for tip in list(page.room.line.sent):
                    await page.ack(tip)
            case "queue" | "waiting" | "running":
                await self.vendor_queue(model, step)
            case "message":
                await page.says({"type": "message", "detail": room("said")})
            case "message to":
                await page.says({"type": "message", "detail": secret("said"), "to": secret("to")})
            case "message about private" if self.had_private(model):
                await page.says({"type": "message", "detail": f"reacting to {secret('tipper')}'s tip"})
            case "toy on" | "toy off":
                toy = {"id": secret("toyid"), "name": secret("toyname"), "type": drawn("type")}
                await page.says({"type": "toy", "detail": [toy | {"status": step.removeprefix("toy ")}]})
            case "settings":
                await page.says(
                    {
                        "type": "settings",
                        "detail": {
                            "levels": {"level1": {"min": 1, "max": 8, "time": n, "vLevel": 5}},
                            "special": {room("special"): {"token": 9, "time": 3}},
                        },
                    }
                )
            case "clink":
                await page.says({"type": "cLink", "detail": secret("link"), "to": secret("to")})
            case "unknown":
                await page.says({"type": secret("type"), "detail": secret("unknown")})
            case "hold":
                await house.desk.hold(model, who=secret("who"))
            case "stop":
                await house.desk.hold(model, stop=True, who=secret("who"))
            case "release":
                await house.desk.release(model)
            case "reload" | "elsewhere":
                self.pages[model] = await house.page("j1" if step == "reload" else f"j{n}", model=model)
            case "leave":
                await page.leave()
            case "drop":
                house.hub.drop(page.room)
                self.pages[model] = await house.page(model=model)
        await house.tick(4)

    async def vendor_queue(self, model, step):
        """The vendor shows what it was given, and somebody it was given by others."""
        names = [(word(model, ROOM, "tipper"), 7), (word(model, ROOM, "alias"), 9), (word(model, DRAWN, "stranger"), 5)]
        if self.had_private(model):
            names.append((word(model, SECRET, "tipper"), 13))
        entries = [{"tipperName": name, "amount": amount, "time": 5} for name, amount in names]
        running, queue = ([], entries) if step == "waiting" else (entries, [])
        kind = "tipRunning" if step == "running" else "tipQueueStatus"
        await self.pages[model].says({"type": kind, "detail": {"running": running, "queue": queue, "waiting": []}})

    def had_private(self, model):
        """The vendor speaks of the private tipper only because it was given a private tip: else it is a stranger."""
        kept = self.house.store._tips.values()
        return any(receipt.tip.private for receipt in kept if receipt.tip.model == model)

    def overheard(self):
        """What somebody heard that is not theirs: (reader, word)."""
        wrong = []
        for model, audience, ears in self.readers:
            for other in MODELS:
                for eyes in (ROOM, DRAWN, SECRET):
                    theirs = model in (None, other) and eyes in SEES[audience]
                    if not theirs and word(other, eyes, "").encode() in ears.bytes:
                        at = ears.bytes.index(word(other, eyes, "").encode())
                        wrong.append((model, audience, ears.bytes[max(0, at - 200) : at + 60]))
        return wrong


STEPS = [
    "tip",
    "private tip",
    "anonymous tip",
    "flood",
    "play",
    "queue",
    "waiting",
    "running",
    "message",
    "message to",
    "message about private",
    "toy on",
    "toy off",
    "settings",
    "clink",
    "unknown",
    "hold",
    "stop",
    "release",
    "reload",
    "elsewhere",
    "leave",
    "drop",
]
WALKS = st.lists(st.tuples(st.sampled_from(MODELS), st.sampled_from(STEPS)), max_size=15)


def run(walk, framing):
    async def live():
        town = await Town().open(framing)
        for model, step in walk:
            await town.walk(model, step)
        await town.house.tick(40)
        await town.listen(last=10_000)  # the history is for the same eyes
        return town

    return asyncio.run(live())


@pytest.mark.parametrize("over", FRAMINGS)
@hypothesis_settings(max_examples=60)
@given(walk=WALKS)
def test_nobody_hears_a_byte_that_is_not_theirs(over, walk):
    """Live or from the history, of a model or of everything."""
    assert [] == run(walk, FRAMINGS[over]).overheard()


@pytest.mark.parametrize("over", FRAMINGS)
def test_everybody_hears_what_is_theirs(over):
    """Else the property above would hold for a feed that says nothing."""
    town = run([(model, step) for model in MODELS for step in [*STEPS[:-6], *STEPS[:-6]]], FRAMINGS[over])
    for model, audience, ears in town.readers:
        heard = {eyes for one in MODELS for eyes in (ROOM, DRAWN, SECRET) if word(one, eyes, "").encode() in ears.bytes}
        assert SEES[audience] == heard, (model, audience)
        for one in MODELS if model is None else [model]:
            assert all(
                word(one, ROOM, what).encode() in ears.bytes for what in ("tip1", "alias", "said", "special", "flood4")
            )
