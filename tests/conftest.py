"""What every test may ask for. People of the journeys live in `kit`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest
from kit import SETTINGS, SETTINGS_EVENT, Page, Platform, Reader, Relay, RelayProcess, live_page, serving_coco

from relay.clock import TickingClock
from relay.settings import Settings
from relay.stores import Store
from relay.stores.sqlite import SqliteStore

# Other sessions share the machine: how long an example takes says nothing.
hypothesis.settings.register_profile("relay", deadline=None)
hypothesis.settings.load_profile("relay")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> TickingClock:
    """Stands still until a test ticks it."""
    return TickingClock()


@pytest.fixture
def settings() -> Settings:
    return SETTINGS


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An open store on a disk of its own."""
    store = SqliteStore(str(tmp_path / "store.db"))
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A folder in memory where there is one: what a disk does to the relay is `test_serve`'s to show."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="relay-test-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
async def relay(settings: Settings, clock: TickingClock, quick_path: Path) -> AsyncIterator[Relay]:
    """A real relay over real sockets, on SQLite, that knows the model Coco."""
    async with serving_coco(settings, clock, store=SqliteStore(str(quick_path / "relay.db"))) as relay:
        yield relay


@pytest.fixture(scope="module")
async def door() -> AsyncIterator[Platform]:
    """The platform at a relay that a whole file shares: for refusals, which leave nothing behind."""
    async with serving_coco() as relay:
        yield relay.platform


@pytest.fixture
def platform(relay: Relay) -> Platform:
    """The platform's backend, with every right."""
    return relay.platform


@pytest.fixture
async def page(relay: Relay) -> AsyncIterator[Page]:
    """Coco's page: live, its vendor script ready."""
    async with live_page(relay.platform) as page:
        yield page


@pytest.fixture
async def viewer(relay: Relay) -> AsyncIterator[Reader]:
    """Reads Coco's feed with a viewer's ticket."""
    async with relay.reader("viewer") as reader:
        yield reader


@pytest.fixture
async def chat(relay: Relay) -> AsyncIterator[Reader]:
    """Reads Coco's feed with a chat's ticket."""
    async with relay.reader("chat") as reader:
        yield reader


@pytest.fixture
async def feed(relay: Relay) -> AsyncIterator[Reader]:
    """Reads Coco's feed with the platform's key: everything."""
    async with relay.feed() as reader:
        yield reader


@pytest.fixture
def relay_process(tmp_path: Path) -> Iterator[Callable[..., RelayProcess]]:
    """Makes `relay serve` processes that share a folder; whatever still runs at the end is ended."""
    made: list[RelayProcess] = []

    def make(**environment: str) -> RelayProcess:
        made.append(RelayProcess(tmp_path, **environment))
        return made[-1]

    yield make
    for process in made:
        process.forget()


@pytest.fixture
def vendor_settings() -> dict[str, Any]:
    """The vendor's `settings` event: level 1 for 1 to 9 tokens, level 2 from 10 on, earthquake for 120."""
    return SETTINGS_EVENT
