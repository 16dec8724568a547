"""Sinks as facts: what a platform may ask for, which addresses it may name, signatures, and when it is tried again."""

import ipaddress
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_kit import T0

from relay.addresses import is_public
from relay.errors import Invalid
from relay.feeds import Audience, Entry
from relay.signatures import Signer, new_secret, signature_headers
from relay.sinks import (
    RETRY_AFTER_SECONDS_MAX,
    SCHEDULE,
    Answer,
    Sink,
    Wish,
    enabled,
    entry_message,
    failed,
    read_wish,
    retry_after,
    sink_from_body,
    sink_to_body,
    took,
)

URL = "https://hooks.example/x"


def a_sink(**fields):
    return Sink(**{"id": "s1", "wish": Wish(URL), "created_at": T0, "cursor": 7, "sealed": "…"} | fields)


def answer(status=500, why="HTTP 500", **more):
    return Answer(T0, "e-8", status, why, **more)


# -- signatures ----------------------------------------------------------


def test_the_published_vector_comes_out():
    """The one of the Standard Webhooks libraries."""
    signer = Signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signature_headers([signer], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    } == headers


def test_several_secrets_sign_together():
    """Separated by a space, as the specification has it for rotation."""
    signers = [Signer(new_secret()) for _ in range(2)]
    assert [signer.sign("a", T0, b"{}") for signer in signers] == signature_headers(signers, "a", T0, b"{}")[
        "webhook-signature"
    ].split(" ")


def test_secrets_are_new_and_long_enough():
    """32 bytes, each time others."""
    assert new_secret() != new_secret()
    assert len("whsec_") + 44 == len(new_secret())


# -- what may be asked for ----------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", None),
        ("url", 7),
        ("url", ""),
        ("url", "hooks.example/x"),
        ("url", "http://hooks.example/x"),
        ("url", "ftp://hooks.example/x"),
        ("url", "https://"),
        ("url", "https:///x"),
        ("url", "https://user:pass@hooks.example/"),
        ("url", "https://hooks.example@evil.example/"),
        ("url", "https://hooks.example/#x"),
        ("url", "https://hooks.example:99999/"),
        ("url", "https://hooks.example:x/"),
        ("url", "https://[::1/"),
        ("url", "https://hooks.exämple/"),
        ("url", "https://hooks.example\\@evil.example/"),
        ("url", "https://hooks.example/ x"),
        ("url", "https://hooks.example/\r\nX: y"),
        ("url", URL + "x" * 2048),
        ("types", []),
        ("types", "tip"),
        ("types", ["tips"]),
        ("types", [7]),
        ("types", ["tip"] * 100),
        ("models", []),
        ("models", ["co co"]),
        ("models", [None]),
        ("models", [f"m{n}" for n in range(101)]),
        ("audience", "everybody"),
        ("audience", None),
        ("audience", ["chat"]),
        ("uri", URL),
    ],
)
def test_a_strange_wish_is_refused(field, value):
    """With the field's name."""
    with pytest.raises(Invalid) as refused:
        read_wish({"url": URL} | {field: value}, private=False)
    assert field == refused.value.extra["field"]


def test_a_wish_is_read():
    """Everything by default; each name once."""
    assert Wish(URL) == read_wish({"url": URL}, private=False)
    asked = {"url": URL, "types": ["tip", "toy", "tip"], "models": ["coco"], "audience": "chat"}
    assert Wish(URL, ("tip", "toy"), ("coco",), Audience.CHAT) == read_wish(asked, private=False)
    assert "http://10.0.0.1/" == read_wish({"url": "http://10.0.0.1/"}, private=True).url


def test_what_is_not_for_a_sink_is_no_message():
    """Another type, another model, another audience."""
    entry = Entry(8, "coco", "announcement", T0, {"text": "hi", "source": "vendor", "private": True})
    assert "e-8" == entry_message("e", entry, Wish(URL)).id
    for wish in (Wish(URL, types=("tip",)), Wish(URL, models=("kim",)), Wish(URL, audience=Audience.CHAT)):
        assert entry_message("e", entry, wish) is None


# -- addresses ----------------------------------------------------------


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_the_open_internet_is_open(address):
    """Over IPv4, IPv6, and one in the other."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "2001:db8::1", "2001:0:1::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"),
        *("64:ff9b:1::1", "fec0::1", "", "localhost", "127.1"),
    ],
)
def test_our_own_network_is_closed(address):
    """This machine, private networks, clouds' metadata, whatever carries them."""
    assert not is_public(address)


@given(st.ip_addresses())
def test_nothing_private_is_public(address):
    """Whatever the standard library calls private, loopback, link-local, multicast or reserved."""
    if not address.is_global or address.is_multicast:
        assert not is_public(str(address))
        if address.version == 4:
            assert not is_public(f"::ffff:{address}")
            assert not is_public(str(ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80))))


# -- when it is tried again ----------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=len(SCHEDULE), max_size=len(SCHEDULE)))
def test_each_wait_is_the_schedules_and_a_little_more(jitters):
    """Up to a tenth; the last failure ends it."""
    sink = a_sink()
    for tries, jitter in enumerate(jitters[:-1], start=1):
        sink = failed(sink, answer(), jitter)
        assert (tries, "failing", T0) == (sink.tries, sink.state, sink.failing_since)
        assert SCHEDULE[tries] <= sink.again_at - T0 <= 1.1 * SCHEDULE[tries] + 1e-6
    sink = failed(sink, answer(), jitters[-1])
    assert ("disabled", None, 7) == (sink.state, sink.again_at, sink.cursor)


def test_gone_is_gone():
    """410 is the receiver's word that nothing shall come any more."""
    assert "disabled" == failed(a_sink(), answer(410, "HTTP 410"), 0).state


def test_what_was_taken_ends_the_trouble():
    """The cursor moves only then, and never back."""
    sink = took(failed(a_sink(), answer(), 0), answer(204, ""), 8)
    assert (8, 0, None, None, "active") == (sink.cursor, sink.tries, sink.again_at, sink.failing_since, sink.state)
    assert 8 == took(sink, answer(204, ""), 3).cursor


def test_an_enabled_sink_is_as_new_but_for_its_place():
    """And remembers its last answer."""
    sink = failed(a_sink(), answer(410, "HTTP 410"), 0)
    assert a_sink(last=sink.last) == enabled(sink)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("0", 0),
        ("120", 120),
        ("9" * 400, RETRY_AFTER_SECONDS_MAX),
        (formatdate(T0 + 90, usegmt=True), 90),
        (formatdate(T0 - 90, usegmt=True), 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_SECONDS_MAX),
        ("Mon, 99 Foo 0000 99:99:99 GMT", None),
    ],
)
def test_retry_after_holds_seconds_or_a_date(header, seconds):
    """Anything else says nothing; a day is the most."""
    assert seconds == retry_after(header, T0)


@given(st.text())
def test_no_retry_after_is_a_crash(header):
    """It comes from outside."""
    wait = retry_after(header, T0)
    assert wait is None or 0 <= wait <= RETRY_AFTER_SECONDS_MAX


def test_a_sink_is_read_back_as_it_was_kept():
    """All of its fields."""
    sink = failed(a_sink(wish=Wish(URL, ("tip",), ("coco",), Audience.CHAT), old_secret_until=T0), answer(), 0.5)
    assert sink == sink_from_body(sink_to_body(sink))
