"""The contract with a toy vendor, over every vendor there is. A new one joins by adding its name
(docs/adding-a-vendor.md)."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_kit import recording

from relay.clock import Clock
from relay.events import Event, Message, QueueSeen, RunningSeen, SettingsSeen, ToysSeen, Unknown
from relay.secret import Secret
from relay.settings import Settings
from relay.vendors import Reading, Vendor
from relay.vendors.lovense import Lovense

VENDORS = {"lovense": (Lovense, "camkit")}  # and the recording of its documents' samples
TOKEN = "a+b/c=d&e f#g%2F"
SAMPLES = {
    "message": Message,
    "settings": SettingsSeen,
    "toy": ToysSeen,
    "tipQueueStatus": QueueSeen,
    "tipRunning": RunningSeen,
}


@pytest.fixture(params=VENDORS)
def vendor(request):
    """Each vendor, not configured: it knows its words, and asks nobody."""
    return VENDORS[request.param][0](Settings(), Clock())


@pytest.fixture(params=VENDORS)
def samples(request):
    """What its documents show of its events."""
    return recording(VENDORS[request.param][1])


def test_a_vendor_keeps_the_interface(vendor):
    """Each of its names is there, with a name for its script."""
    names = [name for name in vars(Vendor) if not name.startswith("_")]
    assert [] == [name for name in names if not hasattr(vendor, name)]
    assert vendor.kit.isalnum()


@pytest.mark.parametrize("kind", SAMPLES)
def test_its_documents_are_read(vendor, samples, kind):
    """Every kind of event, without an anomaly."""
    reading = vendor.read(samples[kind])
    assert (SAMPLES[kind], ()) == (type(reading.event), reading.anomalies)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=10,
    )
)
@pytest.mark.parametrize("name", VENDORS)
def test_reading_never_raises(name, raw):
    """`Unknown` at worst."""
    reading = VENDORS[name][0](Settings(), Clock()).read(raw)
    assert isinstance(reading, Reading)
    assert isinstance(reading.event, Event)


@pytest.mark.parametrize("raw", [None, "words", [], {}, {"type": "something new"}])
def test_unknown_words_are_kept_raw(vendor, raw):
    """As text."""
    event = vendor.read(raw).event
    assert (Unknown, str) == (type(event), type(event.raw))


def test_its_pages_hold_the_token_and_nothing_breaks_out(vendor):
    """Whatever letters it has; script and settings page differ."""
    urls = [vendor.script_url(Secret(TOKEN)), vendor.settings_url(Secret(TOKEN))]
    assert urls[0] != urls[1]
    for url in urls:
        parts = urlsplit(url)
        assert ("https", "", [[TOKEN]]) == (parts.scheme, parts.fragment, list(parse_qs(parts.query).values()))


def test_its_server_is_a_setting():
    """The vendor's own, or the sandbox."""
    vendor = Lovense(Settings(lovense_api_url="http://127.0.0.1:9000"))
    assert "http://127.0.0.1:9000/api/cam/model/v2/model.js?mToken=x" == vendor.script_url(Secret("x"))
    assert "http://127.0.0.1:9000/api/cam/model/v2/setting?mToken=x" == vendor.settings_url(Secret("x"))


async def test_without_credentials_there_is_no_token(vendor):
    """And nobody is asked; letting go twice is letting go."""
    assert await vendor.register("coco", "Coco") is None
    await vendor.close()
    await vendor.close()


async def test_a_vendor_shows_no_secret():
    """In `repr`."""
    vendor = Lovense(Settings(developer_token=Secret("s3cr3t-developer-token")))
    assert "s3cr3t" not in repr(vendor) + repr(vars(vendor))
    await vendor.close()
