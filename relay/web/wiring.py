"""What belongs together for one running relay, wired in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from relay.accounts import Accounts
from relay.arrivals import Arrivals
from relay.clock import Clock
from relay.deliveries import Deliveries
from relay.desk import Desk
from relay.feeds import Entry
from relay.followers import Followers
from relay.hub import Hub
from relay.intake import Intake
from relay.models import Models
from relay.settings import Settings
from relay.stores import Store, make_store
from relay.tickets import Tickets
from relay.vault import Vault
from relay.vendors import Vendor, find_vendor
from relay.web.auth import Keys
from relay.web.heads import Heads
from relay.web.page_socket import Pages


@dataclass(slots=True)
class Wiring:
    settings: Settings
    clock: Clock
    store: Store
    vendor: Vendor
    hub: Hub
    intake: Intake
    desk: Desk
    arrivals: Arrivals
    followers: Followers
    models: Models
    vault: Vault
    accounts: Accounts
    deliveries: Deliveries
    tickets: Tickets
    keys: Keys
    pages: Pages
    heads: Heads = field(default_factory=Heads)
    draining: bool = field(default=False)

    async def reseal(self) -> tuple[dict[str, int], list[str]]:
        """Encrypt whatever is kept encrypted with the newest key: how many of each kind, and what no key opens.

        Raises `StoreUnavailable`.
        """
        counts, lost = {}, []
        kinds = (
            ("models", self.models.reseal),
            ("accounts", self.accounts.reseal),
            ("sinks", self.deliveries.reseal),
        )
        for kind, reseal in kinds:
            counts[kind], unopened = await reseal()
            lost += [f"{kind}/{one}" for one in unopened]
        return counts, lost

    def public_url(self, connection: HTTPConnection) -> str:
        """How browsers reach the relay."""
        return self.settings.public_url or f"{connection.url.scheme}://{connection.url.netloc}".replace("ws", "http", 1)


def wire(
    settings: Settings, *, clock: Clock | None = None, store: Store | None = None, vendor: Vendor | None = None
) -> Wiring:
    """A relay, ready to be served; tests hand in parts of their own."""
    clock = clock or Clock()
    store = store or make_store(settings.store)
    vendor = vendor or find_vendor(settings.vendor)(settings, clock)
    vault = Vault(settings.encryption_keys)
    hub = Hub(store, vendor, settings, clock)
    followers = Followers(store, clock)
    deliveries = Deliveries(store, vault, clock, private=settings.sinks_private == "allow")

    def publish(entries: Sequence[Entry]) -> None:
        followers.publish(entries)
        deliveries.publish(entries)

    store.follow(publish)
    return Wiring(
        settings=settings,
        clock=clock,
        store=store,
        vendor=vendor,
        hub=hub,
        intake=Intake(hub),
        desk=Desk(hub),
        arrivals=Arrivals(hub),
        followers=followers,
        models=Models(hub, store, vendor, vault, clock),
        vault=vault,
        accounts=Accounts(store, vendor.accounts, vault, clock),
        deliveries=deliveries,
        tickets=Tickets(settings.secrets, clock),
        keys=Keys(settings.api_keys),
        pages=Pages(settings.heartbeat),
    )


def wiring(connection: HTTPConnection) -> Wiring:
    """The relay that serves this request or socket."""
    found: Wiring = connection.app.state.wiring
    return found
