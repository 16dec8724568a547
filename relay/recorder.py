"""The recorder: a capture written to a file, line by line, that is whole whenever it ends."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import BinaryIO

import httpx2
import orjson

SILENCE_SECONDS_MAX = 60  # the relay says a word every 15
IDLE = b'{"type":"idle"'


class Stopped(Exception):
    """The recording could not begin, or ended before its time; what was written is whole."""


class Interrupts:
    """Ctrl-C and SIGTERM: at once while nothing is being written, else behind the line."""

    def __init__(self) -> None:
        self.came = False
        self._writing = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._come)

    def _come(self, _: int, __: FrameType | None) -> None:
        self.came = True
        if not self._writing:
            raise KeyboardInterrupt

    def write(self, out: BinaryIO, line: bytes) -> None:
        self._writing = True
        try:
            out.write(line)
            out.flush()
        finally:
            self._writing = False
        if self.came:
            raise KeyboardInterrupt


def record(http: httpx2.Client, path: str, query: Mapping[str, str], output: str | None) -> None:
    """Write a capture to a new file, or to standard output, until it ends or is interrupted. Raises `Stopped`."""
    interrupts = Interrupts()
    count = 0
    try:
        with http.stream("GET", path, params=query, timeout=SILENCE_SECONDS_MAX) as answer:
            if answer.is_error:
                raise Stopped(refusal(answer))
            with opened(output) as out:
                for line in lines(answer):
                    if not line.startswith(IDLE):
                        interrupts.write(out, line)
                        count += 1
    except KeyboardInterrupt:
        pass
    except httpx2.HTTPError as error:
        raise Stopped(f"the capture broke off after {count} lines: {type(error).__name__} {error}") from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read has had enough
    if output is not None:
        print(f"{count} lines in {output}", file=sys.stderr)  # noqa: T201


def lines(answer: httpx2.Response) -> Iterator[bytes]:
    """Whole lines only. httpx2's own would end one at U+2028 too, which JSON leaves as it is."""
    rest = b""
    for chunk in answer.iter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"


def opened(output: str | None) -> BinaryIO:
    """A new file for the owner's eyes only; never one that is there already. Raises `Stopped`."""
    try:
        if output is None:
            return os.fdopen(os.dup(sys.stdout.fileno()), "wb")
        return os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise Stopped(f"{output} is there already: give --output another name") from None
    except OSError as error:
        raise Stopped(f"{output} cannot be written: {error.strerror}") from None


def refusal(answer: httpx2.Response) -> str:
    """The problem's own words."""
    try:
        body = orjson.loads(answer.read())
        return f"{body['type']}: {body['detail']}"
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return f"HTTP {answer.status_code} and no problem: is this a relay's address?"
