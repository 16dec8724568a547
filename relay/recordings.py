"""Recordings: a broadcast as lines of JSON, written by a capture and read by a replay (docs/vendor.md, "Capture").

The first line is the header; every other has `t`, seconds since the recording began.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from relay.surrogates import half_an_emoji, mended

FORMAT = 1


class Header(Struct, tag="capture", frozen=True, kw_only=True):
    """Whose broadcast, and how it was recorded."""

    model: str
    name: str = ""
    at: str = ""  # when it began
    format: int = FORMAT
    kit: str = ""  # the vendor's browser script
    names: bool = False  # whether names are the tippers' own
    relay: str = ""  # the version that wrote it


class PageLine(Struct, tag="page", frozen=True, kw_only=True):
    """A page took the model's seat, or left it."""

    t: float
    did: Literal["arrived", "left"]
    journal: str = "journal-1"  # pages of one browser share it
    resumed: bool = False  # the same load of the page, on another socket
    ready: bool = False  # the vendor's script takes tips


class VendorLine(Struct, tag="vendor", frozen=True, kw_only=True):
    """The page says whether the vendor's script takes tips."""

    t: float
    ready: bool
    why: str | None = None


class EventLine(Struct, tag="event", frozen=True, kw_only=True):
    """What the vendor's script said, in its own words."""

    t: float
    event: Any
    n: int = 0  # rises per load of the page; 0: not numbered


class TipLine(Struct, tag="tip", frozen=True, kw_only=True):
    """A tip was written to the page."""

    t: float
    id: str
    tipper: str  # as shown to the vendor
    amount: int
    anonymous: bool = False
    private: bool = False


class AckLine(Struct, tag="ack", frozen=True, kw_only=True):
    """What the page says became of it."""

    t: float
    id: str
    outcome: str
    error: str | None = None
    was: str | None = None


class AnswerLine(Struct, tag="answer", frozen=True, kw_only=True):
    """What a page's journal knows of tips it was asked about."""

    t: float
    tips: dict[str, str]


class GapLine(Struct, tag="gap", frozen=True, kw_only=True):
    """The reader was too slow: so many lines were left out here."""

    t: float
    left_out: int


class IdleLine(Struct, tag="idle", frozen=True, kw_only=True):
    """Nothing happened; the connection lives."""

    t: float


class EndLine(Struct, tag="end", frozen=True, kw_only=True):
    """The relay ended the capture."""

    t: float
    why: str


Line = PageLine | VendorLine | EventLine | TipLine | AckLine | AnswerLine | GapLine | IdleLine | EndLine

_line: msgspec.json.Decoder[Header | Line] = msgspec.json.Decoder(Header | Line)
_encoder = msgspec.json.Encoder()


class BadRecording(ValueError):
    """The file is no recording; the words name the line and what is wrong with it."""


def encode(line: Header | Line) -> bytes:
    """The line as it stands in a file, its end included."""
    return _encoder.encode(line) + b"\n"


def read(lines: Iterable[str | bytes]) -> tuple[Header, list[tuple[int, Line]]]:
    """The header, and every line with its number in the file. Raises `BadRecording`."""
    header: Header | None = None
    found: list[tuple[int, Line]] = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        line = _read_line(number, text)
        if isinstance(line, Header):
            if header is not None:
                raise BadRecording(f"line {number}: a second header; a recording has one, its first line")
            if line.format != FORMAT:
                raise BadRecording(f"line {number}: 'format' is {line.format}, this relay reads {FORMAT}: update it")
            header = line
        elif header is None:
            raise BadRecording(f'line {number}: a recording begins with its header, {{"type":"capture",…}}')
        else:
            found.append((number, line))
    if header is None:
        raise BadRecording("line 1: the file is empty; 'relay capture MODEL --output FILE' writes one")
    return header, found


def _read_line(number: int, text: str | bytes) -> Header | Line:
    try:
        return _line.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        problem: Exception = error
    if half_an_emoji(problem):
        try:
            return _line.decode(mended(text))
        except (msgspec.DecodeError, RecursionError, ValueError):
            pass  # it is another half that is missing
    why = str(problem)[:200] or type(problem).__name__
    raise BadRecording(f"line {number} is no line of a recording: {why}: mend it or take it out")
