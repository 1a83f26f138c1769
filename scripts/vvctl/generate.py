"""What is derived from appliance.yml and committed: constants of both distributions and tables in the documentation.

A table stands between `<!-- generated:NAME -->` and `<!-- end generated -->`; the text around it is a person's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vvctl.appliance import Appliance
from vvctl.errors import ConfigurationError
from vvctl.publish.aws import policy
from vvctl.publish.vmware import privileges
from vvctl.sizing.tiers import memory_mb, rtp_ports
from vvctl.upgrade.aws import policy as upgrade_policy
from vvctl.upgrade.vmware import privileges as upgrade_privileges

MODULES = ("app/voice_verify/_generated.py", "scripts/vvctl/_generated.py")
DOCUMENTS = (
    "README.md",
    "docs/first-boot.md",
    "docs/install-aws.md",
    "docs/install-vmware.md",
    "docs/network.md",
    "docs/sizing.md",
    "docs/upgrade-vmware.md",
)
BLOCK = re.compile(r"(<!-- generated:(?P<name>[a-z-]+) -->\n).*?(<!-- end generated -->)", re.DOTALL)

WHEN_OPEN = {
    "always": "always",
    "default": "by default",
    "tls": "with a certificate only",
    "enabled": "to its peers only",
}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""

    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", r"\|") for cell in cells) + " |\n"

    return "".join(line(cells) for cells in (header, ["---"] * len(header), *rows))


def ports(appliance: Appliance) -> str:
    rows = [
        [p.numbers, ", ".join(p.protocols).upper(), p.purpose, WHEN_OPEN[p.open], f"`{p.sources}`"]
        for p in appliance.ports
    ]
    return table(["Port", "Protocol", "For", "Open", "Restricted by"], rows)


def tiers(appliance: Appliance) -> str:
    return table(
        ["Tier", "Calls at once", "Cores", "RAM (GB)", "AWS instance"],
        [[f"{t.id} ({t.label})", t.calls, t.cores, t.memory_gb, f"`{t.aws_instance}`"] for t in appliance.tiers],
    )


def services(appliance: Appliance) -> str:
    tiers = appliance.tiers
    memory = [memory_mb(appliance, tier) for tier in tiers]
    rows: list[list[object]] = [
        ["Streams at once", *(tier.calls for tier in tiers)],
        ["RTP ports", *("-".join(map(str, rtp_ports(appliance, tier))) for tier in tiers)],
        ["Threads that embed", *(tier.engine_threads for tier in tiers)],
        ["PostgreSQL `max_connections`", *(appliance.database.connections for _ in tiers)],
        *([f"PostgreSQL `{name}` (MB)", *(values[name] for values in memory)] for name in memory[0]),
    ]
    return table(["", *(f"Tier {tier.id}" for tier in tiers)], rows)


def disks(appliance: Appliance) -> str:
    system, data = appliance.disks.system, appliance.disks.data
    return table(
        ["Disk", "Label", "Size as delivered (GB)", "At an upgrade"],
        [
            ["System", f"`{system.label}`", system.size_gb, "replaced"],
            ["Data", f"`{data.label}`, mounted on `{data.mount}`", data.size_gb, "kept, never touched"],
        ],
    )


def properties(appliance: Appliance) -> str:
    return table(
        ["Property", "Meaning", "Default"],
        [[f"`{p.key}`", p.description, f"`{p.default}`" if p.default else ""] for p in appliance.ovf.properties],
    )


def vmware_privileges(_: Appliance) -> str:
    return _privileges(privileges.PLACES)


def vmware_upgrade_privileges(_: Appliance) -> str:
    return _privileges(upgrade_privileges.PLACES)


def _privileges(places: Mapping[str, Sequence[str]]) -> str:
    rows = [[place, ", ".join(f"`{name}`" for name in names)] for place, names in places.items()]
    return table(["On", "Privileges"], rows)


def aws_policy(_: Appliance) -> str:
    return f"```json\n{policy.text()}```\n"


def aws_upgrade_policy(_: Appliance) -> str:
    return f"```json\n{policy.text(upgrade_policy.ACTIONS)}```\n"


TABLES: dict[str, Callable[[Appliance], str]] = {
    "ports": ports,
    "tiers": tiers,
    "services": services,
    "disks": disks,
    "properties": properties,
    "aws-policy": aws_policy,
    "aws-upgrade-policy": aws_upgrade_policy,
    "vmware-privileges": vmware_privileges,
    "vmware-upgrade-privileges": vmware_upgrade_privileges,
}


def fill(text: str, appliance: Appliance) -> str:
    """`text` with every generated block renewed.

    Raises ConfigurationError for a block that nothing generates.
    """

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in TABLES:
            known = ", ".join(sorted(TABLES))
            raise ConfigurationError(f"no table is called {name}", hint=f"there are: {known}")
        return f"{match[1]}{TABLES[name](appliance)}{match[3]}"

    return BLOCK.sub(block, text)


def constants(appliance: Appliance) -> list[dict[str, object]]:
    """What each of MODULES defines: the distributions are installed without appliance.yml."""
    limits = appliance.limits
    service = {
        "__version__": appliance.product.version,
        "API_PORT": appliance.port("api").first,
        "SIP_PORT": appliance.port("sip").first,
        "SIPS_PORT": appliance.port("sips").first,
        "RTP_FIRST": appliance.port("rtp").first,
        "RTP_LAST": appliance.port("rtp").last,
        "AUDIOSOCKET_PORT": appliance.port("audiosocket").first,
        "PROFILE": appliance.packaged_profile,
        "MAX_STREAMS": appliance.tiers[0].calls,
        "UPLOAD_MB": limits.upload_mb,
        "RESTORE_MB": limits.restore_mb,
        "RECORDINGS_PER_REQUEST": limits.recordings_per_request,
        "RECORDING_MINUTES": limits.recording_minutes,
        "WEBSOCKET_FRAME_KB": limits.websocket_frame_kb,
        "STREAM_IDLE_S": limits.stream_idle_s,
        "REPORT_DAYS": appliance.retention.logs_days,
        "STREAM_SILENCE_S": limits.stream_silence_s,
        "LICENCE_ISSUERS": ",".join(appliance.licence.issuers),
        "LICENCE_WARN_DAYS": appliance.licence.warn_days,
        "LICENCE_FEATURES": appliance.licence.features,
        "EVALUATION_CALLS": appliance.licence.evaluation_calls,
        "FORMAT_EPOCH": appliance.disks.data.format_epoch,
    }
    tooling = {"__version__": appliance.product.version, "API_PORT": appliance.port("api").first}
    return [service, tooling]


def module(values: dict[str, object]) -> str:
    """A Python module that defines `values`."""
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in values.items()]
    return f'"""Derived from appliance.yml by `make generate`."""\n\n{"".join(lines)}'


def derived(root: Path, appliance: Appliance) -> dict[Path, str]:
    """Every derived file of the checkout `root` with the content that it must have."""
    files = {root / name: module(values) for name, values in zip(MODULES, constants(appliance), strict=True)}
    for document in DOCUMENTS:
        path = root / document
        files[path] = fill(path.read_text(encoding="utf-8"), appliance)
    return files


def drifted(root: Path, appliance: Appliance) -> list[Path]:
    """The derived files whose content is not what appliance.yml says."""
    return [
        path
        for path, content in derived(root, appliance).items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]
