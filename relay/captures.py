"""Captures: what pages say and are told, written down for whoever asked to see one model's broadcast raw.

A capture is a reader like any other: nobody waits for it. What it does not take is left out, and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

from relay import __version__, messages, recordings
from relay.clock import Clock, iso
from relay.errors import TooManyCaptures
from relay.pseudonyms import Pseudonyms
from relay.recordings import (
    AckLine,
    AnswerLine,
    EndLine,
    EventLine,
    GapLine,
    Header,
    IdleLine,
    Line,
    PageLine,
    TipLine,
    VendorLine,
)
from relay.rooms import Room
from relay.seats import Seat
from relay.tips import Receipt, Tip

CAPTURES_MAX = 4  # at once, of all models
CAPTURE_BYTES_MAX = 4 * 1024 * 1024  # of one capture, not taken by its reader
CAPTURE_SECONDS_MAX = 86400
IDLE_SECONDS = 15.0  # of silence, before a line says that the connection lives


class Capture:
    """One reader's view of one broadcast: lines that wait to be read, at most `CAPTURE_BYTES_MAX` of them."""

    def __init__(self, room: Room, header: Header, pseudonyms: Pseudonyms, clock: Clock) -> None:
        self.model = room.id
        self.pseudonyms = pseudonyms
        self._clock = clock
        self._began = clock.now()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._left_out = 0
        self._wake = asyncio.Event()
        self._over = False
        self._put(recordings.encode(header))

    @property
    def t(self) -> float:
        """Seconds since it began."""
        return round(max(0.0, self._clock.now() - self._began), 3)

    def write(self, line: Line) -> None:
        encoded = recordings.encode(line)
        if self._over:
            return
        if self._bytes + len(encoded) > CAPTURE_BYTES_MAX:
            self._left_out += 1
            return
        if self._left_out:
            self._put(self._gap())
        self._put(encoded)

    def end(self, why: str) -> None:
        """Nothing more is written; what waits is still read."""
        if not self._over:
            self._over = True
            if self._left_out:
                self._put(self._gap())
            self._put(recordings.encode(EndLine(t=self.t, why=why)))

    async def lines(self) -> AsyncIterator[bytes]:
        """What was written, as it comes, until the end."""
        while True:
            while self._lines:
                chunk = b"".join(self._lines)
                self._lines.clear()
                self._bytes = 0
                yield chunk
            if self._left_out:
                yield self._gap()
            elif self._over:
                return
            else:
                self._wake.clear()
                try:
                    async with asyncio.timeout(IDLE_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    yield recordings.encode(IdleLine(t=self.t))

    def _gap(self) -> bytes:
        count, self._left_out = self._left_out, 0
        return recordings.encode(GapLine(t=self.t, left_out=count))

    def _put(self, encoded: bytes) -> None:
        self._lines.append(encoded)
        self._bytes += len(encoded)
        self._wake.set()


class Captures:
    """Every capture there is. Whoever taps looks whether `open` has the model: nothing else is done where nobody
    captures."""

    def __init__(self, clock: Clock, alias: str) -> None:
        self._clock = clock
        self._alias = alias
        self.open: dict[str, list[Capture]] = {}

    def __len__(self) -> int:
        return sum(len(of_model) for of_model in self.open.values())

    def begin(self, room: Room, *, kit: str, names: bool = False, secrets: Iterable[str] = ()) -> Capture:
        """A capture of one model's broadcast from now on. Raises `TooManyCaptures`."""
        if len(self) >= CAPTURES_MAX:
            raise TooManyCaptures(
                f"{CAPTURES_MAX} captures run already: end one of them, then try again", retry_after=10
            )
        header = Header(
            model=room.id, name=room.record.name, at=iso(self._clock.now()), kit=kit, names=names, relay=__version__
        )
        pseudonyms = Pseudonyms(names=names, secrets=secrets, alias=self._alias)
        capture = Capture(room, header, pseudonyms, self._clock)
        line = room.line
        for part in (line.sent, line.called, line.late, line.uncertain):
            for receipt in part.values():
                pseudonyms.name(receipt.tip.shown)
        self.open.setdefault(room.id, []).append(capture)
        if room.seat is not None:
            self.arrived(room, room.seat, resumed=False)
        return capture

    def close(self, capture: Capture) -> None:
        """Its reader is gone."""
        of_model = self.open.get(capture.model, [])
        if capture in of_model:
            of_model.remove(capture)
            if not of_model:
                del self.open[capture.model]

    def end(self, why: str) -> None:
        """The relay is about to end."""
        for of_model in list(self.open.values()):
            for capture in list(of_model):
                capture.end(why)

    # -- the taps ----------------------------------------------------------

    def arrived(self, room: Room, seat: Seat, *, resumed: bool) -> None:
        for one in self.open.get(room.id, ()):
            journal = one.pseudonyms.journal(seat.journal)
            one.write(PageLine(t=one.t, did="arrived", journal=journal, resumed=resumed, ready=seat.ready))

    def left(self, room: Room, seat: Seat) -> None:
        for one in self.open.get(room.id, ()):
            one.write(PageLine(t=one.t, did="left", journal=one.pseudonyms.journal(seat.journal)))

    def handed(self, room: Room, receipt: Receipt) -> None:
        """A tip was written to the page."""
        for one in self.open.get(room.id, ()):
            one.write(tip_line(one, receipt.tip))

    def heard(self, room: Room, seat: Seat, said: messages.Frame | messages.BadFrame) -> None:
        """A page said something. Nothing that goes wrong here may reach its conversation."""
        for one in list(self.open.get(room.id, ())):
            try:
                line = line_of(one, said, acts=seat is room.seat)
            except (RecursionError, ValueError, TypeError) as error:
                line = EventLine(t=one.t, event={"type": "capture", "error": f"not recorded: {type(error).__name__}"})
            if line is not None:
                one.write(line)


def tip_line(one: Capture, tip: Tip) -> TipLine:
    named = one.pseudonyms
    return TipLine(
        t=one.t,
        id=named.tip(tip.id),
        tipper=tip.shown if tip.anonymous else named.name(tip.shown),
        amount=tip.amount,
        anonymous=tip.anonymous,
        private=tip.private,
    )


def line_of(one: Capture, said: messages.Frame | messages.BadFrame, *, acts: bool) -> Line | None:
    """What a frame is in a recording. A page that no longer acts has only its last word on tips."""
    named = one.pseudonyms
    match said:
        case messages.EventFrame() if acts:
            return EventLine(t=one.t, event=named.event(said.event), n=said.n)
        case messages.VendorFrame() if acts:
            return VendorLine(t=one.t, ready=said.ready, why=said.why and named.words(said.why))
        case messages.Ack():
            error = None if said.error is None else named.words(said.error)
            return AckLine(t=one.t, id=named.tip(said.id), outcome=said.outcome, error=error, was=said.was)
        case messages.Answer():
            return AnswerLine(t=one.t, tips={named.tip(id): word for id, word in said.tips.items()})
        case _:
            return None
