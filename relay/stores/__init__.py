"""The contract with a store: it keeps, numbers and makes known. What it did not keep did not happen.

Everything that belongs together travels in one `Change`, and is kept whole or not at all. Changes are kept in the
order of the calls. There is one writer per model; any process may read. An engine is a file beside this one, and a
name in `tests/test_stores.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from msgspec import Struct

from relay.feeds import Draft, Entry
from relay.tips import Receipt, Status


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What is kept of a model besides her tips."""

    id: str
    name: str
    created_at: float
    token: bytes | None = field(default=None, repr=False)  # the vendor's, encrypted
    held: bool = False
    stopped: bool = False  # held, and the vendor's script taken down, until released
    held_since: float | None = None  # waiting tips do not age while she holds them
    generation: int = 0  # of her newest page
    menu: dict[str, Any] | None = None  # her settings as last seen
    language: str | None = None  # of the announcements in her room; None: the default
    muted: frozenset[str] = frozenset()  # kinds of announcements switched off in her room
    said: frozenset[str] = frozenset()  # what her room was told last: `online`, `toy`


@dataclass(frozen=True, slots=True)
class Document:
    """A small record with a life of its own, such as a linked account. `kind` and `id` name it."""

    kind: str
    id: str
    body: dict[str, Any] | None = field(repr=False)  # JSON; secrets in it are sealed. None: forget the document


class Change(Struct, frozen=True, gc=False):
    """What is kept in one transaction. `new` is created once by its tip's id: where a record stands already, nothing
    of the change is kept."""

    new: Receipt | None = None
    moved: tuple[Receipt, ...] = ()
    entries: tuple[Draft, ...] = ()
    model: ModelRecord | None = None
    documents: tuple[Document, ...] = ()


class Kept(Struct, frozen=True, gc=False):
    """What became of a `Change`. `receipt` is the record of its `new` tip: just made, or the one that stood already."""

    entries: tuple[Entry, ...] = ()
    receipt: Receipt | None = None
    replayed: bool = False


class Trimmed(Struct, frozen=True):
    """What retention has taken of a feed. Up to `all` nothing is left; from there to `some` there are holes."""

    all: int = 0
    some: int = 0


Follow = Callable[[Sequence[Entry]], None]
Told = Callable[[Kept | Exception], None]


class Store(Protocol):
    """What the relay asks of a store. Every call may raise `StoreUnavailable`; nothing was kept then."""

    async def open(self) -> None:
        """Get ready. Where the place is taken or out of order for now, return all the same and go on trying."""

    async def close(self) -> None:
        """Keep what was handed in, then let go."""

    @property
    def healthy(self) -> bool:
        """The last attempt to keep something worked."""

    @property
    def trouble(self) -> str:
        """Why it is not healthy, in a sentence for the operator; empty when it is."""

    @property
    def in_use(self) -> bool:
        """Another relay has this store."""

    @property
    def epoch(self) -> str:
        """Names this store's life in cursors: letters and digits. Another database has another epoch."""

    def hand_in(self, change: Change, told: Told) -> None:
        """Keep a change. Once it is durable and its entries were made known, `told` is called with what became of it;
        or else with the error. Always later than this call returns, and in the order of the calls."""

    def keep(self, change: Change) -> asyncio.Future[Kept]:
        """As `hand_in`, for who waits."""

    def follow(self, follow: Follow) -> None:
        """Make every entry known to `follow`, in the order of `n`, on the event loop. Once, before `open`."""

    async def claim(self, ticket: str, journal: str, until: float) -> str:
        """Bind a ticket to the first journal that shows it; the journal it belongs to. Forgotten after `until`."""

    async def model(self, model: str) -> ModelRecord | None: ...

    async def models(self) -> list[ModelRecord]: ...

    async def open_models(self) -> list[str]:
        """The models with tips whose life goes on, by rising id."""

    async def room(self, model: str) -> tuple[ModelRecord, list[Receipt], list[Receipt]] | None:
        """A model's record; all of her tips whose life goes on, by rising `seq`; the newest `HUSHED_TIPS_MAX` of her
        private tips whose life is over: words about them may still come. In one read."""

    async def document(self, kind: str, id: str) -> Document | None: ...

    async def documents(self, kind: str) -> list[Document]:
        """All documents of a kind, by rising id."""

    async def receipt(self, tip: str) -> Receipt | None: ...

    async def receipts(
        self, *, model: str | None = None, status: Status | None = None, after: int = 0, limit: int = 100
    ) -> list[Receipt]:
        """Receipts by rising `seq`, from beyond `after`."""

    async def entries(self, *, model: str | None = None, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Entries by rising `n`, from beyond `after`. `model` None: of all models."""

    async def before_last(self, *, model: str | None = None, count: int) -> int:
        """The `n` before the last `count` entries; where there are fewer, 0."""

    async def trimmed(self, model: str | None = None) -> Trimmed:
        """How far retention has come in a model's feed, or in everybody's; zeros when nothing has gone yet."""

    async def last(self) -> int:
        """The highest `n` given so far."""

    async def sweep(
        self, *, tips_before: float, entries_before: float, entries_max: int | None = None, limit: int = 500
    ) -> int:
        """Forget closed tips and entries from before these times (seconds since 1970), and of each model all but the
        newest `entries_max` entries: up to `limit` of each kind at once. How many went."""


def waiting(begin: Callable[[Callable[[Any], None]], None]) -> asyncio.Future[Any]:
    """The future of what `begin` tells later: a result, or an error. Who stops waiting stops nothing."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    begin(partial(settle, future))
    return future


def waiting_for_all(begins: Sequence[Callable[[Callable[[Any], None]], None]]) -> asyncio.Future[list[Any]]:
    """The future of what all of them tell later, each once, in their order; an error is told like a result."""
    future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
    answers: list[Any] = [None] * len(begins)
    left = len(begins)

    def told(number: int, what: Any) -> None:
        nonlocal left
        answers[number] = what
        left -= 1
        if not left:
            settle(future, answers)

    if not begins:
        future.set_result(answers)
    for number, begin in enumerate(begins):
        begin(partial(told, number))
    return future


def settle(future: asyncio.Future[Any], told: Any) -> None:
    if future.cancelled():
        return
    if isinstance(told, BaseException):
        future.set_exception(told)
    else:
        future.set_result(told)


def make_store(url: str) -> Store:
    """The store that `RELAY_STORE` names."""
    from relay.stores.memory import MemoryStore  # engines import this contract
    from relay.stores.sqlite import SqliteStore

    return MemoryStore() if url == "memory:" else SqliteStore(url.removeprefix("sqlite:///"))
