"""A replay into a relay: the recording's platform posts its tips, its page plays them and says the vendor's words."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable
from typing import Any

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Origin, Subprotocol

from relay.messages import PROTOCOL
from relay.recordings import AckLine, AnswerLine, EventLine, GapLine, Line, PageLine, TipLine, VendorLine
from relay.replays.page import Page
from relay.replays.stage import ReplayFailed, ask

ECHO_KEY = "relayTipId"  # our own id in a vendor's event (facts.md 1.6)


class RelayStage:
    """A relay: the recording's platform and its page. `http`: a client with an API key. Use as a context."""

    def __init__(self, http: httpx2.AsyncClient, model: str, origin: str, lines: Iterable[tuple[int, Line]]) -> None:
        self._http = http
        self._model = model
        self._origin = origin
        self._run = f"replay-{secrets.token_hex(3)}"
        self._tips: dict[str, str] = {}  # ids as recorded, and as posted
        self._times: Counter[str] = Counter()  # how often each was written, as recorded
        self._written: Counter[str] = Counter()  # and now
        self._known: dict[str, str] = {}
        answers = [line for _, line in lines if isinstance(line, AnswerLine)]
        self._answers = {id: word for line in answers for id, word in line.tips.items()}
        self._resume: dict[str, str] = {}  # by journal
        self._page: Page | None = None
        self._events = self._left_out = 0

    async def __aenter__(self) -> RelayStage:
        """The model is there, and nobody is sent away for the replay. Raises `ReplayFailed`."""
        path = f"/models/{self._model}"
        standing = await ask(self._http, "GET", path, 404)
        if standing is None:
            await ask(self._http, "PUT", path, json={"name": self._model})
        elif standing["online"]:
            raise ReplayFailed(f"'{self._model}' is live, and a replay would replace her page: give another --model")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._page is not None:
            await self._page.leave()

    async def play(self, line: Line) -> None:
        match line:
            case PageLine(did="arrived"):
                await self._arrive(line)
            case PageLine():
                await self._leave()
            case VendorLine():
                await (await self._acting()).say(type="vendor", ready=line.ready, why=line.why)
            case EventLine():
                self._events += 1
                await (await self._acting()).say(type="event", n=line.n, event=self._echoed(line.event))
            case TipLine():
                await self._tip(line)
            case AckLine() if line.id in self._tips:
                await self._ack(line)
            case GapLine():
                self._left_out += line.left_out
            case _:
                pass  # of tips from before the recording, or nothing to do; answers are given when the relay asks

    async def summary(self) -> dict[str, Any]:
        await self._leave()
        statuses: Counter[str] = Counter()
        for id in self._tips.values():
            receipt = await ask(self._http, "GET", f"/tips/{id}")
            statuses[receipt["status"] if receipt else "unknown"] += 1
        return {
            "model": self._model,
            "run": self._run,
            "tips": len(self._tips),
            "events": self._events,
            "left_out": self._left_out,
            "statuses": dict(statuses),
        }

    # -- the page ----------------------------------------------------------

    async def _acting(self) -> Page:
        """The page that acts; a recording without a word about pages has one all the time."""
        return self._page or await self._arrive(PageLine(t=0, did="arrived", ready=True))

    async def _arrive(self, line: PageLine) -> Page:
        hello: dict[str, Any] = {"vendor": {"kit": "camkit", "ready": line.ready}}
        if line.resumed and line.journal in self._resume:
            hello["resume"] = self._resume[line.journal]
        else:
            ticket = await ask(self._http, "POST", f"/models/{self._model}/ticket")
            hello["ticket"] = ticket["ticket"] if ticket else ""
        before, journal = self._page, f"{self._run}-{line.journal}"
        try:
            socket = await connect(
                str(self._http.base_url.join("/page")).replace("http", "ws", 1),
                origin=Origin(self._origin),
                subprotocols=[Subprotocol(PROTOCOL)],
                compression=None,
                proxy=None,
                close_timeout=2,
            )
        except (OSError, WebSocketException) as error:
            raise ReplayFailed(f"{self._http.base_url} does not open a page's socket: {error}") from None
        self._page = page = Page(socket, journal, self._known, self._written)
        await page.hello(**hello)
        self._resume[line.journal] = page.resume or ""
        if before is not None:
            await before.leave()
        return page

    async def _leave(self) -> None:
        if self._page is not None:
            page, self._page = self._page, None
            await page.heard()
            await page.leave()

    # -- tips ----------------------------------------------------------

    async def _tip(self, line: TipLine) -> None:
        page = await self._acting()
        await page.heard()  # what was said before it is decided before it
        id = self._tips.setdefault(line.id, f"{self._run}-{len(self._tips) + 1}")
        if line.id in self._answers:
            self._known.setdefault(id, self._answers[line.id])
        body = {"tipper": line.tipper, "amount": line.amount, "anonymous": line.anonymous, "private": line.private}
        await ask(self._http, "POST", "/tips", json={"id": id, "model": self._model} | body)
        self._times[id] += 1
        await page.written(id, self._times[id])

    async def _ack(self, line: AckLine) -> None:
        page, id = await self._acting(), self._tips[line.id]
        if line.outcome in ("played", "failed"):
            self._known[id] = line.outcome
        frame = {"id": id, "outcome": line.outcome, "run": page.runs.get(id), "error": line.error, "was": line.was}
        await page.say(type="ack", **{name: value for name, value in frame.items() if value is not None})

    def _echoed(self, event: Any) -> Any:
        """The event with the tips' new ids, where the vendor gives ours back."""
        if isinstance(event, dict):
            return {
                key: self._tips.get(one, one) if key == ECHO_KEY and isinstance(one, str) else self._echoed(one)
                for key, one in event.items()
            }
        return [self._echoed(one) for one in event] if isinstance(event, list) else event
