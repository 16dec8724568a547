"""Receivers on the wire: the address that was looked at is spoken to, by the name that was asked for."""

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sinks_kit import receiving

from relay import receivers
from relay.receivers import Receiver, Unreachable, reason

HEADERS = {"webhook-id": "1"}


@pytest.fixture
async def names(monkeypatch):
    """The name service: each name's answers, one list after the other; the last one stays."""
    known, asked = {}, []

    async def getaddrinfo(host, port, **_):
        asked.append(host)
        answers = known[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    known["asked"] = asked
    return known


@pytest.fixture
async def post(monkeypatch):
    """Posts to an address and gives the status."""
    made = []

    async def post(url, *, private=True, context=None):
        made.append(Receiver(url, private=private, context=context))
        return (await made[-1].post(HEADERS, b"{}"))[0]

    yield post
    for receiver in made:
        await receiver.close()


def certificate(folder, *hosts):
    """Contexts of a server for these names and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a receiver")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "cert.pem"
    pem.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    seen = []
    server.sni_callback = lambda _, host, __: seen.append(host)
    return server, ssl.create_default_context(cafile=str(pem)), seen


async def test_a_name_is_spoken_to_at_the_address_that_was_looked_at(names, post):
    """Host is the name's; the name is asked for once a request."""
    names["hooks.example"] = [["127.0.0.1"], ["192.0.2.1"]]
    async with receiving() as receiver:
        assert 204 == await post(f"http://hooks.example:{receiver.port}/x?y=1")
        assert f"hooks.example:{receiver.port}" == receiver.came[0].headers["host"]
        assert "/x?y=1" == receiver.came[0].path
    assert ["hooks.example"] == names["asked"]


async def test_a_name_that_changes_its_mind_is_caught(names):
    """Public when the sink was made, ours when the request goes out: looked at each time, nothing is sent."""
    async with receiving() as receiver:
        names["rebind.example"] = [["8.8.8.8"], ["127.0.0.1"]]
        sink = Receiver(f"http://rebind.example:{receiver.port}/", private=False)
        assert ["8.8.8.8"] == await sink.addresses()
        with pytest.raises(Unreachable, match="not on the open internet"):
            await sink.post(HEADERS, b"{}")
        await sink.close()
        assert 0 == receiver.connections


@pytest.mark.parametrize("ours", ["127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"])
async def test_one_closed_address_closes_the_name(names, post, ours):
    """Whichever would have been taken."""
    names["mixed.example"] = [["8.8.8.8", ours]]
    with pytest.raises(Unreachable, match="not on the open internet"):
        await post("https://mixed.example/", private=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "017700000001", "localhost", "[::ffff:7f00:1]"])
async def test_ways_to_write_this_machine_are_known(post, host):
    """The resolver's reading counts, not the spelling."""
    with pytest.raises(Unreachable, match=r"not on the open internet|does not resolve"):
        await post(f"http://{host}:1/", private=False)


async def test_a_name_nobody_knows_is_told(post):
    """The host is named, nothing else of the address."""
    with pytest.raises(Unreachable, match=r"^the name nobody\.invalid does not resolve$"):
        await post("https://nobody.invalid/secret-path")


async def test_a_name_that_takes_too_long_is_told(monkeypatch, post):
    """Names have an end of their own."""
    monkeypatch.setattr(receivers, "RESOLVE_SECONDS_MAX", 0.01)

    async def forever(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", forever)
    with pytest.raises(Unreachable, match="was not resolved within"):
        await post("https://hooks.example/")


async def test_the_next_address_is_tried_where_one_does_not_answer(names, post):
    """As every browser does."""
    async with receiving() as receiver:
        names["two.example"] = [["127.0.0.2", "127.0.0.1"]]
        assert 204 == await post(f"http://two.example:{receiver.port}/")
        assert 1 == len(receiver.came)


async def test_tls_is_for_the_name_and_not_for_the_address(names, post, tmp_path):
    """SNI and certificate are the name's."""
    server, client, seen = certificate(tmp_path, "hooks.example")
    names["hooks.example"] = [["127.0.0.1"]]
    async with receiving(server) as receiver:
        assert 204 == await post(f"https://hooks.example:{receiver.port}/", context=client)
    assert ["hooks.example"] == seen


async def test_another_names_certificate_is_refused(names, post, tmp_path):
    """And the reason says so."""
    server, client, _ = certificate(tmp_path, "other.example")
    names["hooks.example"] = [["127.0.0.1"]]
    async with receiving(server) as receiver:
        with pytest.raises(Unreachable, match=r"certificate is not accepted.*[Hh]ostname mismatch"):
            await post(f"https://hooks.example:{receiver.port}/", context=client)
        assert [] == receiver.came


async def test_a_certificate_nobody_vouches_for_is_refused(names, post, tmp_path):
    """By the system's authorities."""
    server, _, _ = certificate(tmp_path, "hooks.example")
    names["hooks.example"] = [["127.0.0.1"]]
    async with receiving(server) as receiver:
        with pytest.raises(Unreachable, match="certificate is not accepted"):
            await post(f"https://hooks.example:{receiver.port}/")


async def test_proxies_of_the_environment_are_not_used(monkeypatch, post):
    """One would be asked to resolve the name, and nobody would look at what it finds."""
    async with receiving() as receiver, receiving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        assert 204 == await post(receiver.url)
        assert [] == proxy.came


async def test_an_answer_that_is_none_breaks_the_request(post):
    """Whatever is said in return."""

    async def babble(reader, writer):
        await reader.read(100)
        writer.write(b"\x00\xffNOT HTTP\r\n\r\n" * 10)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    with pytest.raises(httpx2.HTTPError) as broke:
        await post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert "RemoteProtocolError" == reason(broke.value)
    server.close()
