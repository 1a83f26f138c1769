"""systemd.network(5) files."""

from __future__ import annotations

from collections.abc import Mapping

from .environment import Interface

PATH = "/etc/systemd/network/10-voice-verify.network"
# Before PATH in the order of names, since the first file that matches a card holds. An instance takes up to 15 cards.
SECONDARY_PATHS = {number: f"/etc/systemd/network/05-voice-verify-{number}.network" for number in range(1, 15)}
# Any number that nobody else uses; a card's own is added.
_FIRST_TABLE = 100


def first(values: Mapping[str, str], mark: str) -> str | None:
    """For the first card, or all of them; None where the image's DHCP default does."""
    if not (values["address"] or values["dns"] or values["domain"]):
        return None
    lines = [mark, "[Match]", "Type=ether", "Name=en* eth*", "Virtualization=!container", "", "[Network]"]
    if values["address"]:
        lines.append(f"Address={values['address']}")
        lines += [f"Gateway={values['gateway']}"] if values["gateway"] else []
    else:
        lines.append("DHCP=yes")
    lines += [f"DNS={address}" for address in values["dns"].split()]
    lines += [f"Domains={values['domain']}"] if values["domain"] else []
    if not values["address"]:
        lines += ["", "[DHCPv4]", "ClientIdentifier=mac"]
        lines += ["UseDNS=no"] if values["dns"] else []
    return "\n".join(lines) + "\n"


def secondary(card: Interface, mark: str) -> str:
    """For a card beside the first one: what comes in by it is answered by it.

    AWS drops packets that leave by a card which has not their address, so each has a routing table of its own.
    """
    table = _FIRST_TABLE + card.number
    lines = [mark, "[Match]", f"MACAddress={card.mac}", "", "[Network]", "DHCP=ipv4", ""]
    lines += ["[DHCPv4]", "ClientIdentifier=mac", f"RouteTable={table}", "UseDNS=no", "UseHostname=no"]
    for address in card.addresses:
        lines += ["", "[RoutingPolicyRule]", f"From={address}", f"Table={table}"]
    return "\n".join(lines) + "\n"
