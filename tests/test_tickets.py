"""Tickets: short-lived, for one purpose, one model and one audience, made of what a page can read."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.clock import TickingClock
from relay.errors import TicketExpired, TicketRefused
from relay.feeds import Audience
from relay.secret import Secret
from relay.settings import FEED_TICKET_SECONDS, RESUME_SECONDS, TICKET_SECONDS
from relay.tickets import FeedTicket, Resume, Tickets

NEW, OLD, FOREIGN = (Secret("new" * 12), Secret("old" * 12), Secret("foreign" * 6))
MAKERS = {"page": lambda tickets: tickets.page("coco")[0], "resume": lambda tickets: tickets.resume("coco", "j1", "p1")}
MAKERS["feed"] = lambda tickets: tickets.feed("coco", Audience.CHAT)[0]
AGES = {"page": TICKET_SECONDS, "resume": RESUME_SECONDS, "feed": FEED_TICKET_SECONDS}


@pytest.fixture
def tickets(clock):
    return Tickets([NEW], clock)


def read(tickets, purpose, ticket):
    return getattr(tickets, f"read_{purpose}")(ticket)


def test_a_ticket_reads_as_it_was_written(tickets):
    """Model and journal, or model and audience."""
    assert Resume("coco", "j1", "p1") == tickets.read_resume(tickets.resume("coco", "j1", "p1"))
    assert FeedTicket("coco", Audience.CHAT) == tickets.read_feed(tickets.feed("coco", Audience.CHAT)[0])
    assert "coco" == tickets.read_page(tickets.page("coco")[0]).model


def test_every_page_ticket_is_another(tickets):
    """It is bound by its id to the first journal that shows it."""
    first, second = (tickets.read_page(tickets.page("coco")[0]).id for _ in range(2))
    assert first != second
    assert 12 <= len(first)


@pytest.mark.parametrize("model", ["coco", "x" * 128, "a.b_c~d@e:f+g=h-i"])
def test_a_page_can_read_whom_its_ticket_is_for(tickets, model):
    """The first part is base64url JSON with `m`, never compressed: the shim reads it before it says hello."""
    part = tickets.page(model)[0].split(".")[0]
    assert model == json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["m"]


@pytest.mark.parametrize("made", MAKERS)
@pytest.mark.parametrize("shown", MAKERS)
def test_one_kind_does_not_pass_as_another(tickets, made, shown):
    """A viewer's ticket opens no page."""
    ticket = MAKERS[made](tickets)
    if made == shown:
        assert read(tickets, shown, ticket)
    else:
        with pytest.raises(TicketRefused):
            read(tickets, shown, ticket)


@pytest.mark.parametrize("purpose", MAKERS)
def test_a_ticket_expires(tickets, clock, purpose):
    """By the relay's clock, to the second; then it was good once."""
    ticket = MAKERS[purpose](tickets)
    clock.tick(AGES[purpose])
    assert read(tickets, purpose, ticket)
    clock.tick(1)
    with pytest.raises(TicketExpired, match="older than"):
        read(tickets, purpose, ticket)


def test_a_ticket_says_when_it_expires(tickets, clock):
    """In seconds since 1970."""
    assert clock.now() + TICKET_SECONDS == tickets.page("coco")[1]
    assert clock.now() + FEED_TICKET_SECONDS == tickets.feed("coco", Audience.VIEWER)[1]


@pytest.mark.parametrize("purpose", MAKERS)
def test_keys_are_rotated_without_a_break(clock, purpose):
    """The newest signs, the older ones still read; a key that is gone is gone."""
    ticket = MAKERS[purpose](Tickets([OLD], clock))
    assert read(Tickets([NEW, OLD], clock), purpose, ticket)
    fresh = MAKERS[purpose](Tickets([NEW, OLD], clock))
    assert read(Tickets([NEW], clock), purpose, fresh)
    with pytest.raises(TicketRefused):
        read(Tickets([NEW], clock), purpose, ticket)


@pytest.mark.parametrize("purpose", MAKERS)
def test_a_foreign_ticket_is_refused(tickets, clock, purpose):
    """And it is not called expired, whatever its age."""
    ticket = MAKERS[purpose](Tickets([FOREIGN], clock))
    clock.tick(10**6)
    with pytest.raises(TicketRefused) as refusal:
        read(tickets, purpose, ticket)
    assert TicketRefused is type(refusal.value)


@pytest.mark.parametrize(
    "ticket", ["", ".", "..", "a.b.c", "x" * 10_000, "\u00e9.\U0001f600.x", "null", "e30.e30.e30", "\x00"]
)
@pytest.mark.parametrize("purpose", MAKERS)
def test_junk_is_refused(tickets, purpose, ticket):
    """By name, and without quoting it."""
    with pytest.raises(TicketRefused) as refusal:
        read(tickets, purpose, ticket)
    assert len(ticket) < 2 or ticket not in refusal.value.detail


@given(st.data())
def test_no_character_of_a_ticket_can_be_changed(data):
    """Neither of what it says, nor of its time, nor of its signature."""
    tickets = Tickets([NEW], TickingClock())
    ticket = tickets.feed("coco", Audience.VIEWER)[0]
    place = data.draw(st.integers(0, len(ticket) - 2))  # of the last character two bits mean nothing
    other = data.draw(st.sampled_from("AZaz09-_.").filter(lambda char: char != ticket[place]))
    with pytest.raises(TicketRefused):
        tickets.read_feed(ticket[:place] + other + ticket[place + 1 :])


def test_a_ticket_says_no_key(tickets):
    """Neither it nor its maker's `repr`."""
    assert NEW.reveal() not in tickets.page("coco")[0] + repr(tickets) + repr(vars(tickets))
