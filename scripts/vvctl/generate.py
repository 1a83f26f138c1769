"""What is derived from appliance.yml and committed: constants of both distributions and tables in the documentation.

A table stands between `<!-- generated:NAME -->` and `<!-- end generated -->`; the text around it is a person's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from vvctl.appliance import Appliance
from vvctl.errors import ConfigurationError

MODULES = ("app/voice_verify/_generated.py", "scripts/vvctl/_generated.py")
DOCUMENTS = ("README.md", "docs/first-boot.md", "docs/network.md", "docs/sizing.md")
BLOCK = re.compile(r"(<!-- generated:(?P<name>[a-z-]+) -->\n).*?(<!-- end generated -->)", re.DOTALL)

WHEN_OPEN = {
    "always": "always",
    "default": "by default",
    "tls": "with a certificate only",
    "enabled": "when enabled only",
}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""

    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", r"\|") for cell in cells) + " |\n"

    return "".join(line(cells) for cells in (header, ["---"] * len(header), *rows))


def ports(appliance: Appliance) -> str:
    return table(
        ["Port", "Protocol", "For", "Open"],
        [[p.numbers, ", ".join(p.protocols).upper(), p.purpose, WHEN_OPEN[p.open]] for p in appliance.ports],
    )


def tiers(appliance: Appliance) -> str:
    return table(
        ["Tier", "Calls at once", "Cores", "RAM (GB)", "Threads that embed"],
        [[f"{t.id} ({t.label})", t.calls, t.cores, t.memory_gb, t.engine_threads] for t in appliance.tiers],
    )


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


TABLES: dict[str, Callable[[Appliance], str]] = {
    "ports": ports,
    "tiers": tiers,
    "disks": disks,
    "properties": properties,
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
