"""The rules as text for nft(8). No side effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NotRequired, TypedDict

from .access import Access, Tls

TABLE = "inet appliance"
# Amazon's metadata service: it hands out the properties of this machine, and the rights of its instance role.
METADATA_4, METADATA_6 = "169.254.169.254", "fd00:ec2::254"


class Port(TypedDict):
    """One entry of ports in appliance.yml."""

    name: str
    first: int
    last: NotRequired[int]
    protocols: list[str]
    purpose: str
    open: str
    sources: str
    twin_of: NotRequired[str]


def let_in(ports: Sequence[Port], access: Access, tls: Tls | None) -> list[Port]:
    """The ports that are open to somebody."""
    return [port for port in ports if _is_open(port, ports, access, tls)]


def _is_open(port: Port, ports: Sequence[Port], access: Access, tls: Tls | None) -> bool:
    if port["open"] == "always":
        return True
    if port["open"] == "tls":
        return tls is not None and tls.enabled
    if port["open"] == "enabled":
        return bool(access.sources.get(port["sources"]))
    if access.plain_ports == "closed" and _has_full_twin(port, ports):
        # Until it is known whether its twin can take over it stays closed: who asked for that wants nothing in clear.
        return tls is not None and not (tls.enabled and tls.names_fit)
    return True


def _has_full_twin(port: Port, ports: Sequence[Port]) -> bool:
    """Whether another port replaces it in all its protocols; SIP over UDP has no TLS."""
    return any(
        twin.get("twin_of") == port["name"] and set(port["protocols"]) <= set(twin["protocols"]) for twin in ports
    )


def render(ports: Sequence[Port], access: Access, *, ssh_port: int, ssh_per_minute: int) -> str:
    """A ruleset that lets in exactly `ports`, each for those whom `access` names; it replaces all others at once."""
    restricted = sorted({port["sources"] for port in ports if access.sources.get(port["sources"])})
    sets = "".join(_networks(name, access) for name in restricted)
    accepted = "\n".join(f"        {rule}" for rule in _accepts(ports, restricted))
    limit = f"limit rate over {ssh_per_minute}/minute burst {ssh_per_minute} packets"
    return f"""\
#!/usr/sbin/nft -f
# Made by vv-firewall; what is changed here is lost.
flush ruleset

table {TABLE} {{
{sets}    set ssh_callers_4 {{
        type ipv4_addr
        flags dynamic
        timeout 5m
        size 65535
    }}

    set ssh_callers_6 {{
        type ipv6_addr
        flags dynamic
        timeout 5m
        size 65535
    }}

    chain input {{
        type filter hook input priority filter; policy drop;
        iif lo accept
        ct state vmap {{ established : accept, related : accept, invalid : drop }}

        icmp type {{ destination-unreachable, time-exceeded, parameter-problem }} accept
        icmp type echo-request limit rate 20/second burst 50 packets accept
        icmpv6 type {{
            destination-unreachable, packet-too-big, time-exceeded, parameter-problem,
            nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query
        }} accept
        icmpv6 type echo-request limit rate 20/second burst 50 packets accept
        # Answers of DHCPv6 servers come from another address than the one that was asked.
        ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept

        tcp dport {ssh_port} ct state new update @ssh_callers_4 {{ ip saddr {limit} }} drop
        tcp dport {ssh_port} ct state new update @ssh_callers_6 {{ ip6 saddr {limit} }} drop
{accepted}
    }}

    chain forward {{
        type filter hook forward priority filter; policy drop;
    }}

    chain output {{
        type filter hook output priority filter; policy accept;
        # For root only: a service that can be made to fetch a URL would give away what is there.
        ip daddr {METADATA_4} meta skuid != 0 reject with icmp type admin-prohibited
        ip6 daddr {METADATA_6} meta skuid != 0 reject with icmpv6 type admin-prohibited
    }}
}}
"""


def _networks(name: str, access: Access) -> str:
    networks = ", ".join(map(str, access.sources[name]))
    return f"""\
    set {name} {{
        type ipv4_addr
        flags interval
        elements = {{ {networks} }}
    }}

"""


def _accepts(ports: Sequence[Port], restricted: Sequence[str]) -> Iterator[str]:
    """A rule for each property and protocol; a restricted one is for IPv4 only, since its networks are."""
    for sources in sorted({port["sources"] for port in ports}):
        match = f"ip saddr @{sources} " if sources in restricted else ""
        for protocol in ("tcp", "udp"):
            chosen = [port for port in ports if port["sources"] == sources and protocol in port["protocols"]]
            if chosen:
                numbers = ", ".join(map(_numbers, sorted(chosen, key=lambda port: port["first"])))
                yield f'{match}{protocol} dport {{ {numbers} }} accept comment "{sources}"'


def _numbers(port: Port) -> str:
    return f"{port['first']}-{port['last']}" if "last" in port else str(port["first"])
