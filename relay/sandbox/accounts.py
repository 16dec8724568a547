"""Linked accounts as the vendor keeps them: people, the codes handed out for them, and one pair of tokens each.

The rules are the App Gallery document's: a code is good once and for three minutes, a refresh ends the old pair at once
and leaves the refresh token's deadline where it was, a cancelled authorization ends both tokens.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

CODE_SECONDS = 180.0
ACCESS_SECONDS = 3600.0
REFRESH_SECONDS = 31_536_000.0  # the document's own sample: 365 days
USERS_MAX = 10_000
CODES_MAX = 20_000
ALERTS_MAX = 1000
REFRESHES_MAX = 5 * USERS_MAX  # refresh tokens remembered, dead ones included
USER_BYTES, ACCESS_BYTES, REFRESH_BYTES = 46, 272, 256  # ids end in "==", tokens are as long as the document's samples

# What refusals are numbered: the vendor's own list is not public, so a client must not read anything into them.
PARAMETER, DEVELOPER, APPLICATION, SIGN, CODE, REFRESH, ACCESS = 40000, 40001, 40002, 40003, 40004, 40005, 40006


class Denied(Exception):
    """The vendor says no; the number is opaque, the words are for people."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


class Pair(Struct, frozen=True):
    """What an exchange or a refresh gave. Times are epoch seconds on the sandbox's clock."""

    access: str
    access_ends: float
    refresh: str
    refresh_ends: float  # set by the exchange; a refresh leaves it


@dataclass(slots=True)
class User:
    id: str
    name: str
    scope: str = "authUser"  # of the newest code; authBase hides the name
    pair: Pair | None = None  # None before the first exchange, and after the authorization was cancelled
    cancelled: bool = False
    refreshes: int = 0  # granted


@dataclass(slots=True)
class Code:
    user: str
    scope: str
    ends: float
    used: bool = False


@dataclass(slots=True)
class Tally:
    """How often a call came, and how often it had an effect."""

    calls: int = 0
    granted: int = 0


class Alert(Struct, frozen=True):
    """What the vendor would write to the developer about."""

    at: float
    code: str
    words: str


@dataclass(slots=True)
class Calls:
    """The ledger of the vendor's servers: what reached them, refused or not."""

    get_token: dict[str, Tally] = field(default_factory=dict)  # by mId
    exchanges: dict[str, Tally] = field(default_factory=dict)  # by auth code
    refreshes: dict[str, Tally] = field(default_factory=dict)  # by user id; a token nobody has counts under ""
    user_infos: dict[str, Tally] = field(default_factory=dict)  # likewise
    alerts: list[Alert] = field(default_factory=list)

    def count(self, tallies: dict[str, Tally], key: str) -> Tally:
        if key not in tallies and len(tallies) >= CODES_MAX:
            tallies.pop(next(iter(tallies)))
        tally = tallies.setdefault(key, Tally())
        tally.calls += 1
        return tally


class Accounts:
    """Every person, code and token; times come from `now`, in epoch seconds."""

    def __init__(self, now: Callable[[], float], app_id: str | None, app_secret: str) -> None:
        self.now = now
        self.app_id = app_id  # None takes any
        self.access_seconds = ACCESS_SECONDS
        self.refresh_seconds = REFRESH_SECONDS
        self.users: OrderedDict[str, User] = OrderedDict()
        self.calls = Calls()
        self._secret = app_secret.encode()
        self._codes: OrderedDict[str, Code] = OrderedDict()
        self._by_access: dict[str, str] = {}
        self._by_refresh: OrderedDict[str, str] = OrderedDict()  # dead tokens too, so that their use is counted

    # -- What people do -----------------------------------------------------------------------------------------------

    def authorize(self, name: str, scope: str, user_id: str | None = None) -> tuple[str, User]:
        """A fresh code for a fresh person, or for one who is known; the oldest make room. Raises KeyError."""
        user = self.users[user_id] if user_id is not None else self._new_user(name)
        code = secrets.token_hex(32)
        self._codes[code] = Code(user.id, scope, self.now() + CODE_SECONDS)
        if len(self._codes) > CODES_MAX:
            self._codes.popitem(last=False)
        return code, user

    def cancel(self, user_id: str) -> None:
        """The person takes the authorization back: both tokens die at once, codes too. Raises KeyError."""
        user = self.users[user_id]
        user.cancelled = True
        self._hand_over(user, None)
        for code in [code for code, record in self._codes.items() if record.user == user_id]:
            del self._codes[code]

    # -- What the developer's server asks ----------------------------------------------------------------------------

    def exchange(self, code: str, sign: str) -> User:
        """An auth code for the first pair; raises Denied."""
        tally = self.calls.count(self.calls.exchanges, code)
        right = base64.b64encode(hmac.new(self._secret, code.encode(), hashlib.sha256).digest())
        given = "".join(sign.split())  # the document's Java sample leaves a line break at its end (facts.md 3.2)
        if not hmac.compare_digest(given.encode(), right):
            raise Denied(SIGN, "Invalid sign: base64 of HMAC-SHA256, key App Secret, message authCode")
        record = self._codes.get(code)
        if record is None:
            raise Denied(CODE, "Invalid authCode")
        if record.used:
            self._alert(code, f"authCode was used again ({tally.calls} calls)")
            raise Denied(CODE, "Invalid authCode: it was used before")
        if self.now() >= record.ends:
            raise Denied(CODE, "Invalid authCode: it expired")
        record.used = True
        user = self.users[record.user]
        user.scope, user.cancelled = record.scope, False
        self._hand_over(user, self._new_pair(self.now() + self.refresh_seconds))
        tally.granted += 1
        return user

    def refresh(self, token: str) -> User:
        """A refresh token for a new pair, which ends when the first would have; raises Denied."""
        user_id = self._by_refresh.get(token, "")
        tally = self.calls.count(self.calls.refreshes, user_id)
        user = self.users.get(user_id)
        if user is None or user.pair is None or user.pair.refresh != token:
            raise Denied(REFRESH, "Invalid refreshToken")
        if self.now() >= user.pair.refresh_ends:
            raise Denied(REFRESH, "Invalid refreshToken: it expired")
        self._hand_over(user, self._new_pair(user.pair.refresh_ends))
        user.refreshes += 1
        tally.granted += 1
        return user

    def whose(self, token: str) -> User:
        """The person of a live access token; raises Denied."""
        user_id = self._by_access.get(token, "")
        tally = self.calls.count(self.calls.user_infos, user_id)
        user = self.users.get(user_id)
        if user is None or user.pair is None or user.pair.access != token:
            raise Denied(ACCESS, "Invalid accessToken")
        if self.now() >= user.pair.access_ends:
            raise Denied(ACCESS, "Invalid accessToken: it expired")
        tally.granted += 1
        return user

    def holder(self, *, access: str = "", refresh: str = "") -> str:
        """Whose token this is or was; "" when nobody's."""
        return self._by_access.get(access, "") or self._by_refresh.get(refresh, "")

    # -- Inside --------------------------------------------------------------------------------------------------------

    def _new_user(self, name: str) -> User:
        user_id = _random(USER_BYTES)
        while not ("/" in user_id and "+" in user_id):  # every id is as awkward as the document's worst
            user_id = _random(USER_BYTES)
        if len(self.users) >= USERS_MAX:
            _, gone = self.users.popitem(last=False)
            self._hand_over(gone, None)
        self.users[user_id] = User(user_id, name)
        return self.users[user_id]

    def _new_pair(self, refresh_ends: float) -> Pair:
        access_ends = min(self.now() + self.access_seconds, refresh_ends)
        return Pair(_random(ACCESS_BYTES), access_ends, _random(REFRESH_BYTES), refresh_ends)

    def _hand_over(self, user: User, pair: Pair | None) -> None:
        """From now on only this pair is known: what came before is dead."""
        if user.pair is not None:
            del self._by_access[user.pair.access]
        user.pair = pair
        if pair is not None:
            self._by_access[pair.access] = self._by_refresh[pair.refresh] = user.id
            if len(self._by_refresh) > REFRESHES_MAX:
                self._by_refresh.popitem(last=False)

    def _alert(self, code: str, words: str) -> None:
        self.calls.alerts.append(Alert(self.now(), code, words))
        del self.calls.alerts[:-ALERTS_MAX]


def _random(count: int) -> str:
    return base64.b64encode(secrets.token_bytes(count)).decode()
