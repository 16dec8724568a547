"""A recorded broadcast played again: the second relay comes to the same state, announcements and receipts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kit import (
    KEY,
    ORIGIN,
    SETTINGS_EVENT,
    TOY,
    TOY_EVENT,
    Platform,
    Relay,
    RelayProcess,
    eventually,
    message_event,
    page_socket,
    queue_event,
    queued,
    running,
    running_event,
    serving_coco,
)
from unit_kit import recording

from relay import recordings, replays
from relay.clock import TickingClock
from relay.recordings import BadRecording, EventLine
from relay.replays.stage import ReplayFailed
from relay.views import room_as_json

RECORDINGS = Path(__file__).parent / "recordings"
HEADER = '{"type":"capture","model":"coco"}'


def reacting(name: str) -> dict[str, Any]:
    return message_event(f"My LOVENSE Lush is now reacting to {name}'s tip. It will stop after 6 sec!")


async def broadcast(platform: Platform) -> None:
    """A broadcast with a bit of everything: twins, a private and an anonymous tip, one that fails, a reload."""
    async with page_socket(platform) as page:
        await page.hello("j_first", ticket=await platform.ticket())
        await page.hear(TOY_EVENT)
        await page.hear(SETTINGS_EVENT)
        for n, (tipper, amount) in enumerate([("john", 20), ("john", 20), ("Ann-Marie ♥", 5)]):
            await platform.accepted(f"{tipper[:4]}-{n}", tipper=tipper, amount=amount)
            await page.play()
        await page.hear(queue_event([running("john", 20)], [queued("john", 20), queued("Ann-Marie ♥", 5)]))
        await page.hear(running_event([running("john", 20)]))
        await page.hear(reacting("john"))
        await page.hear(queue_event([running("john", 20)], [queued("Ann-Marie ♥", 5)]))
        await page.hear(reacting("john"))
        await page.hear(queue_event([running("Ann-Marie ♥", 5, 2, 1)]))
        await page.hear(reacting("Ann-Marie ♥"))
        await page.hear(queue_event())
        await page.hear({"type": "somethingNew", "who": "john"})
        await platform.accepted("secret-1", tipper="zoe", amount=7, private=True)
        await page.play()
        await page.hear(queue_event([running("zoe", 7, 2, 1)]))
        await page.hear(reacting("zoe"))
        await page.hear(queue_event())
        await platform.accepted("hidden-1", tipper="mallory", amount=11, anonymous=True)
        await page.play()
        await page.hear(queue_event([running("Anonymous", 11)]))
        await page.hear(reacting("Anonymous"))
        await page.hear(queue_event())
        await platform.accepted("broken-1", tipper="john", amount=9)
        tip = await page.next_tip()
        await page.ack(tip["id"], "failed", run=tip["run"], error="receiveTip threw")
        await page.say(type="vendor", ready=False, why="loading")
        await page.say(type="vendor", ready=True)
        # The page is given a tip, and its connection goes before it can say what became of it.
        await platform.accepted("open-1", tipper="john", amount=12)
        await page.next_tip()
        before = page
    async with page_socket(platform) as page:
        resume, page._n = before.welcome["resume"], before._n
        await page.hello("j_first", resume=resume)
        assert ["open-1"] == page.welcome["ask"]
        await page.say(type="answer", tips={"open-1": "played"})
        await page.hear(queue_event([running("john", 12)]))
        await page.hear(queue_event())
        await page.hear({**TOY_EVENT, "status": "off", "detail": [{**TOY_EVENT["detail"][0], "status": "off"}]})
        await (await page.socket.ping())


PLAYED = ["john-0", "john-1", "Ann--2", "secret-1", "hidden-1", "broken-1", "open-1"]
PSEUDONYMS = {"john": "viewer-001", "Ann-Marie ♥": "viewer-002", "zoe": "viewer-003", "mallory": "Anonymous"}


async def recorded(relay: Relay, play: Any, **query: Any) -> list[bytes]:
    """The lines of a capture while `play` is on; its page leaves at the end."""
    room = await relay.wiring.hub.room("coco")
    lines: list[bytes] = []
    async with relay.platform.http.stream("GET", "/models/coco/capture", params=query, timeout=30) as answer:
        assert 200 == answer.status_code
        chunks = answer.aiter_bytes()
        lines.append(await anext(chunks))
        await play
        await eventually(lambda: room.seat is None, "the end of the broadcast")
        relay.wiring.hub.captures.end("that was all")
        lines += [chunk async for chunk in chunks]
    return b"".join(lines).splitlines(keepends=True)


# The relay says these when it is time: how they are folded, and between which entries they come, is the clock's doing.
LATER = {"tip", "queue", "toy_on", "toy_off", "online", "offline"}


async def story(relay: Relay, clock: TickingClock) -> dict[str, Any]:
    """What has to be the same: the model's state, all that the feed told, and the way of each tip."""

    async def look() -> Any:
        tips = (await relay.platform.http.get("/tips", params={"model": "coco"})).json()["tips"]
        clock.tick(5)
        return not {"accepted", "sent", "played", "queued", "running"} & {tip["status"] for tip in tips} and tips

    tips = await eventually(look, "the end of every tip")
    await relay.flushed()
    room = await relay.wiring.hub.room("coco")
    entries = await relay.wiring.store.entries(model="coco", after=0, limit=1000)
    return {
        "state": room_as_json(room) | {"at": None},
        "feed": [{"type": entry.type, **entry.body} for entry in entries if entry.body.get("kind") not in LATER],
        "tips": {tip["id"]: [[step["status"], step["why"]] for step in tip["timeline"]] for tip in tips},
    }


def renamed(story: dict[str, Any], words: dict[str, str]) -> dict[str, Any]:
    """The story with other names."""
    text = json.dumps(story, ensure_ascii=False)
    for word, other in sorted(words.items(), key=lambda pair: -len(pair[0])):
        text = text.replace(json.dumps(word, ensure_ascii=False)[1:-1], other)
    return json.loads(text)


@asynccontextmanager
async def first_and_second() -> AsyncIterator[tuple[Relay, TickingClock, Relay, TickingClock]]:
    first, second = TickingClock(), TickingClock()
    async with serving_coco(clock=first) as one, serving_coco(clock=second) as other:
        yield one, first, other, second


async def replayed(relay: Relay, lines: list[bytes], speed: float = 0.0, model: str = "coco") -> dict[str, Any]:
    _, found = recordings.read(lines)
    return await replays.into_relay(found, url=relay.url, key=KEY, origin=ORIGIN, model=model, speed=speed)


@pytest.mark.parametrize("names", [False, True])
async def test_a_replay_comes_to_the_same(names):
    """State, feed and receipts of the second relay are the first's, under other names; and so is its own recording."""
    async with first_and_second() as (first, its_clock, second, other_clock):
        lines = await recorded(first, broadcast(first.platform), names=names)
        done: dict[str, Any] = {}

        async def play() -> None:
            done.update(await replayed(second, lines))

        again = await recorded(second, play(), names=names)
        expected, found = await story(first, its_clock), await story(second, other_clock)
    words = PSEUDONYMS if not names else {"mallory": "Anonymous"}
    tips = {id: f"{done['run']}-{n}" for n, id in enumerate(PLAYED, 1)}
    assert renamed(expected, tips | words | {TOY["id"]: "toy-001"}) == found
    assert {"tips": 7, "events": 20, "left_out": 0} == {key: done[key] for key in ("tips", "events", "left_out")}
    if not names:
        assert untimed(lines) == untimed(again)
        assert [] == [name for name in (*PSEUDONYMS, *PLAYED, TOY["id"]) if name in b"".join(lines).decode()]


def untimed(lines: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) | {"t": 0, "at": ""} for line in lines]


async def test_a_page_in_another_browser_takes_over():
    """Its recording is replayed by two pages too: what the first had been given, it has its last word on."""

    async def play(platform: Platform) -> None:
        async with page_socket(platform) as old, page_socket(platform) as new:
            await old.hello("j_first", ticket=await platform.ticket())
            await platform.accepted("t1")
            await old.next_tip()
            greets = asyncio.create_task(new.hello("j_second", ticket=await platform.ticket()))
            assert ["t1"] == (await old.next("ask"))["tips"]
            await old.say(type="answer", tips={"t1": "unseen"})
            await greets
            await new.play()

    async with first_and_second() as (first, its_clock, second, other_clock):
        lines = await recorded(first, play(first.platform))
        done = await replayed(second, lines)
        expected, found = await story(first, its_clock), await story(second, other_clock)
    assert renamed(expected, {"t1": f"{done['run']}-1", "john": "viewer-001"}) == found


async def test_lines_keep_their_times(relay, clock):
    """Four times as fast, where it is asked for."""
    lines = [HEADER] + [json.dumps({"type": "event", "t": t, "event": TOY_EVENT}) for t in (0.0, 1.0, 2.0)]
    began = asyncio.get_running_loop().time()
    await replayed(relay, lines, speed=8.0, model="again")
    assert 0.25 <= asyncio.get_running_loop().time() - began < 2.0


@pytest.mark.parametrize("name", sorted(path.name for path in RECORDINGS.glob("*.jsonl")))
async def test_kept_recordings_can_be_replayed(relay, name):
    """Each of them, as it stands, into a model of its own."""
    lines = (RECORDINGS / name).read_bytes().splitlines(keepends=True)
    done = await replayed(relay, lines, model="again")
    assert done["events"]


@pytest.mark.parametrize("name", ["camkit", "siblings", "captures"])
def test_a_kept_recording_holds_every_sample(name):
    """The broadcast and the table of samples are one."""
    _, lines = recordings.read((RECORDINGS / f"{name}.jsonl").read_bytes().splitlines())
    played = [line.event for _, line in lines if isinstance(line, EventLine)]
    samples = recording(name)
    assert [] == [what for what, event in samples.items() if what != "source" and event not in played]


async def test_a_live_page_is_not_replaced(relay, page):
    """A replay into the model that is on air would send her page away."""
    with pytest.raises(ReplayFailed, match="'coco' is live, and a replay would replace her page: give another --model"):
        await replayed(relay, [HEADER])


async def test_what_goes_wrong_names_the_line(relay):
    """And what to do."""
    tip = '{"type":"tip","t":0,"id":"x%s","tipper":"john","amount":%s}'
    with pytest.raises(ReplayFailed, match=r"line 3: .* refused POST /tips: 'amount' must be"):
        await replayed(relay, [HEADER, tip % (1, 1), tip % (2, -5)], model="again")
    _, lines = recordings.read([HEADER, tip % (1, 1)])
    with pytest.raises(ReplayFailed, match=r"line 2: the page's socket was closed with 4003 .* give --origin"):
        await replays.into_relay(lines, url=relay.url, key=KEY, origin="https://x.example", model="again", speed=0)
    with pytest.raises(ReplayFailed, match=r"http://127.0.0.1:9 does not answer GET /models/again: ConnectError"):
        await replays.into_relay(lines, url="http://127.0.0.1:9", key=KEY, origin=ORIGIN, model="again", speed=0)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "line 1: the file is empty"),
        (['{"type":"event","t":0,"event":{}}'], "line 1: a recording begins with its header"),
        ([HEADER, HEADER], "line 2: a second header"),
        (['{"type":"capture","model":"coco","format":2}'], "line 1: 'format' is 2, this relay reads 1"),
        ([HEADER, "", '{"type":"event","t":0}'], "line 3 is no line of a recording: .*event"),
        ([HEADER, '{"type":"event","t":0,"event":{'], "line 2 is no line of a recording: .*truncated"),
        ([HEADER, '{"type":"dance","t":0}'], "line 2 is no line of a recording: .*dance"),
        ([HEADER, '{"type":"tip","t":0,"id":"x","tipper":"j","amount":"20"}'], r"line 2 .*\$.amount"),
    ],
)
def test_a_bad_line_is_named(lines, words):
    """By its number in the file, with what is wrong."""
    with pytest.raises(BadRecording, match=words):
        recordings.read(lines)


def test_half_an_emoji_can_be_read():
    """As the vendor's JSON has it."""
    _, ((number, line),) = recordings.read([HEADER, '{"type":"event","t":0,"event":{"detail":"\\ud83d"}}'])
    assert (2, {"detail": "\ufffd"}) == (number, line.event)


# -- the commands ----------------------------------------------------------


async def test_capture_and_replay_from_the_command_line(relay_process, tmp_path):
    """A capture is interrupted, its file is whole, and is played into the relay it came from, as another model."""
    process = relay_process()
    platform = await process.start()
    file = tmp_path / "coco.jsonl"
    async with platform:
        await platform.register()
        recorder = await command(process, "capture", "coco", "--output", str(file))
        await eventually(file.exists, "the capture")
        await broadcast(platform)
        await eventually(lambda: 2 == file.read_bytes().count(b'"left"'), "the end of the broadcast")
        recorder.send_signal(signal.SIGTERM)
        _, errors = await recorder.communicate()
        assert (0, 0o600) == (recorder.returncode, file.stat().st_mode & 0o777)
        assert f"lines in {file}" in errors.decode()
        assert file.read_bytes().endswith(b"}\n")
        player = await command(process, "replay", str(file), "--speed", "0", "--model", "again")
        output, errors = await player.communicate()
        assert (0, 7) == (player.returncode, json.loads(output)["tips"]), errors
        second = await command(process, "capture", "coco", "--output", str(file))
        _, errors = await second.communicate()
        assert (1, True) == (second.returncode, b"is there already: give --output another name" in errors)


async def test_a_capture_ends_whole_with_the_relay(relay_process, tmp_path):
    """Its last line says why."""
    process = relay_process()
    async with await process.start() as platform:
        await platform.register()
        recorder = await command(process, "capture", "coco", "--seconds", "600")
        header = json.loads(await recorder.stdout.readline())
        assert ("capture", "coco", False) == (header["type"], header["model"], header["names"])
        process.terminate()
        output, _ = await recorder.communicate()
    assert "the relay is draining: come back" == json.loads(output.splitlines()[-1])["why"]
    assert 0 == recorder.returncode


async def test_refusals_on_the_command_line(relay_process, tmp_path):
    """One sentence each, and exit code 1."""
    process = relay_process()
    (tmp_path / "bad.jsonl").write_text(HEADER + "\n{}\n")
    async with await process.start():
        for arguments, words in (
            (["capture", "nobody"], "unknown_model: model 'nobody' is not registered"),
            (["replay", str(tmp_path / "bad.jsonl")], "bad.jsonl: line 2 is no line of a recording"),
            (
                ["replay", str(tmp_path / "bad.jsonl"), "--into", "http://a", "--sandbox", "http://b"],
                "exclude each other",
            ),
        ):
            run = await command(process, *arguments)
            _, errors = await run.communicate()
            assert words in errors.decode()
            assert run.returncode in (1, 2)


async def command(process: RelayProcess, *arguments: str) -> asyncio.subprocess.Process:
    """A command beside a relay that runs, with that relay's keys."""
    env = {"PATH": os.environ["PATH"], "RELAY_URL": process.url} | process.environment
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("relay")),
        *arguments,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
