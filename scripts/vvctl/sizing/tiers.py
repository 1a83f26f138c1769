"""What a machine of a tier gives each of its services.

The machine itself works this out at boot (roles/setup, roles/postgresql) from its real cores and memory; these are the
figures for a machine that has exactly what its tier asks for, for the documentation. Tests hold both together.
"""

from __future__ import annotations

from vvctl.appliance import Appliance, Tier


def memory_mb(appliance: Appliance, tier: Tier) -> dict[str, int]:
    """PostgreSQL's settings of memory in MB, by name."""
    shares = appliance.database.memory_shares
    # Every connection may take its work_mem at the same time.
    parts = shares.model_dump() | {"work_mem": shares.work_mem * appliance.database.connections}
    return {name: tier.memory_gb * 1024 // part for name, part in parts.items()}


def rtp_ports(appliance: Appliance, tier: Tier) -> tuple[int, int]:
    """First and last of the ports that the tier's calls use: a pair each, and a sixth more to let freed ones rest."""
    port = appliance.port("rtp")
    pairs = tier.calls + -(-tier.calls // 6)
    return port.first, min(port.last or port.first, port.first + 2 * pairs - 1)
