"""What makes a machine the appliance that it is: nothing of it comes with the image, all of it with the data disk."""

from __future__ import annotations

from .guest import Guest

_ON_THE_NETWORK = {"address", "link-local address"}


def test_two_clones_have_nothing_in_common(
    first: Guest, without_data: Guest, renewed: Guest, identities: dict[str, dict[str, str]]
) -> None:
    for guest in (without_data, renewed):
        guest.wait_ssh()
    clone = without_data.identity()
    for other in (identities[first.name], renewed.identity()):
        assert {what for what in clone if clone[what] == other[what]} == set()


def test_another_system_disk_goes_on_as_the_same_appliance(
    first: Guest, renewed: Guest, identities: dict[str, dict[str, str]]
) -> None:
    """Its address is the platform's business."""
    renewed.wait_ssh()
    old, new = identities[first.name], renewed.identity()
    assert {what for what in old if old[what] != new[what]} <= _ON_THE_NETWORK
