"""What no single property shows: values that do not fit each other, or this machine."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from . import x509


def find(values: Mapping[str, str], tiers: Sequence[int], *, assigns_addresses: bool) -> list[str]:
    """A line for every contradiction among checked `values`, which hold every property.

    `tiers` are the numbers that there are; `assigns_addresses` tells that the platform gives the machine its address.
    """
    return [
        *_address(values, assigns_addresses=assigns_addresses),
        *_tier(values["tier"], tiers),
        *_certificate(values),
    ]


def _address(values: Mapping[str, str], *, assigns_addresses: bool) -> Iterator[str]:
    address, gateway = values["address"], values["gateway"]
    if assigns_addresses:
        for key in ("address", "gateway"):
            if values[key]:
                yield (
                    f"{key} = {values[key]!r}: AWS gives this machine its address; leave {key} empty, and set the "
                    + (
                        "private address at the network interface"
                        if key == "address"
                        else "route in the subnet's table"
                    )
                )
    elif address:
        yield from _static(values, ipaddress.IPv4Interface(address))
    elif gateway:
        yield f"gateway = {gateway!r}: there is no address; give one, or leave both empty for DHCP"


def _static(values: Mapping[str, str], interface: ipaddress.IPv4Interface) -> Iterator[str]:
    network, gateway = interface.network, values["gateway"]
    if gateway:
        chosen = ipaddress.IPv4Address(gateway)
        if chosen not in network:
            yield f"gateway = {gateway!r}: it is outside the network {network} of the address"
        elif chosen == interface.ip:
            yield f"gateway = {gateway!r}: it is the address of this machine itself"
        elif network.prefixlen < 31 and chosen in {network.network_address, network.broadcast_address}:
            yield f"gateway = {gateway!r}: this is the network or broadcast address of {network}"
    for key in ("dns", "ntp"):
        for server in filter(_is_address, values[key].split()):
            if key == "dns" and server == str(interface.ip):
                yield f"dns = {server!r}: it is the address of this machine itself, which answers no such questions"
            elif not gateway and ipaddress.IPv4Address(server) not in network:
                yield f"gateway is missing: {key} {server} is outside the network {network} of the address"
    named = [server for server in values["ntp"].split() if not _is_address(server)]
    if named and not values["dns"]:
        yield f"dns is missing: the time server {named[0]} is a name; give dns, or its address"


def _is_address(host: str) -> bool:
    return host.rpartition(".")[2].isdigit()


def _tier(tier: str, tiers: Sequence[int]) -> Iterator[str]:
    if tier and int(tier) not in tiers:
        yield f"tier = {tier!r}: there are the tiers {', '.join(map(str, tiers))}; empty: cores and memory decide"


def _certificate(values: Mapping[str, str]) -> Iterator[str]:
    # Plain ports without a certificate: the firewall leaves them open, and one may have come by command.
    if values["certificate"]:
        for problem in x509.problems(values["certificate"]):
            yield f"certificate: {problem}"
