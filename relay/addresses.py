"""Addresses nobody outside may make the relay talk to: our own network, this machine, a cloud's metadata."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

# What `is_global` lets through, or did in older versions of the standard library.
CLOSED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # a provider's own; a cloud's metadata at 100.100.100.200
        "168.63.129.16/32",  # a cloud's metadata
        "169.254.0.0/16",  # clouds' metadata at 169.254.169.254
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fec0::/10",
    )
)
NAT64 = ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet, also where an IPv6 address carries an IPv4 one."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = carried(found) if isinstance(found, IPv6Address) else None
    if inner is not None:
        return is_public(str(inner))
    closed = found.is_multicast or any(found.version == one.version and found in one for one in CLOSED)
    return found.is_global and not closed


def carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address in an IPv6 one: mapped, 6to4, or behind a NAT64."""
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if int(address) >> 32 == 0 and int(address) > 1:  # ::a.b.c.d, deprecated and still routed by some
        return IPv4Address(int(address))
    return address.ipv4_mapped or address.sixtofour
