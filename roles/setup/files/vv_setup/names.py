"""The names of this machine."""

from __future__ import annotations

from collections.abc import Mapping

# Its web parts on its domain, beside its own host name.
WEB = ("voiceverify", "kibana", "grafana")


def on_domain(values: Mapping[str, str]) -> list[str]:
    """Every name with the domain, its own first; none without a domain."""
    domain = values["domain"]
    if not domain:
        return []
    return [f"{name}.{domain}" for name in dict.fromkeys((values["hostname"], *WEB))]
