"""What is derived from appliance.yml and committed: version modules and the tables in the documentation.

A table stands between `<!-- generated:NAME -->` and `<!-- end generated -->`; the text around it is a person's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from vvctl.appliance import Appliance
from vvctl.errors import ConfigurationError

VERSION_MODULES = ("app/voice_verify/_version.py", "scripts/vvctl/_version.py")
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
        ["Tier", "Calls at once", "Cores", "RAM (GB)"],
        [[f"{t.id} ({t.label})", t.calls, t.cores, t.memory_gb] for t in appliance.tiers],
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


def derived(root: Path, appliance: Appliance) -> dict[Path, str]:
    """Every derived file of the checkout `root` with the content that it must have."""
    files = {root / module: f'__version__ = "{appliance.product.version}"\n' for module in VERSION_MODULES}
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
