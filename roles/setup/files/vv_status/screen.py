"""The state in words: what the console shows."""

from __future__ import annotations

from typing import Any


def problems(state: dict[str, Any]) -> list[str]:
    """Everything that keeps the machine from its work, in the order in which to mend it."""
    found: list[str] = []
    disk = state["data_disk"]
    if disk and disk["state"] != "ready":
        found += [f"DATA DISK: {disk['message']}", f"           {disk['advice']}"]
        found.append("           Until then the services stay down; nothing is stored.")
    if state["setup"]["state"] == "refused":
        found.append(f"PROPERTIES: those from {state['setup']['source']} were not applied:")
        found += [f"            {problem}" for problem in state["setup"]["problems"]]
    broken = _broken(state)
    if broken:
        found.append(f"FAILED: {', '.join(broken)}")
    return found


def next_step(state: dict[str, Any]) -> str:
    """The one thing to do now."""
    disk = state["data_disk"]
    if disk and disk["state"] != "ready":
        return "mend the data disk as said above"
    if state["setup"]["state"] == "refused":
        return "power off, correct the properties, power on"
    if not state["addresses"]:
        return "connect the network, or set the property address"
    broken = _broken(state)
    if broken:
        return f"log in by SSH and run: journalctl --boot --unit {broken[0]}"
    if not state["ready"]:
        return "wait until the service is ready"
    return f"open http://{state['addresses'][0]}:{state['api_port']}/swagger/"


def _broken(state: dict[str, Any]) -> list[str]:
    return [str(unit) for unit, active in state["services"].items() if active in {"failed", "failing"}]


def render(state: dict[str, Any], operator_key: str = "") -> str:
    """The screen, at most 80 columns where the values allow it."""
    size = state["sizing"]
    disk = state["data_disk"]
    address = ", ".join(state["addresses"]) or "none yet"
    lines = [
        f"{state['title']} {state['version']}  (build {state['build_id']})",
        "",
        f"  Host      {state['hostname']}",
        f"  Address   {address}",
    ]
    if size:
        lines.append(
            f"  Tier      {size['tier'] or '-'} ({size['label']}): {size['streams']} streams"
            f" on {size['cores']} cores, {size['memory_gb']} GiB"
        )
    lines.append(
        f"  Data disk {disk['message'] if disk and disk['state'] == 'ready' else disk.get('state', 'looking')}"
    )
    services = "  ".join(f"{unit.removesuffix('.service')} {active}" for unit, active in state["services"].items())
    lines += [f"  Services  {services}", f"  Health    {'ready' if state['ready'] else 'not ready'}", ""]
    found = problems(state)
    lines += [*found, ""] if found else []
    if operator_key:
        lines += [
            f"First operator API key: {operator_key}",
            "It is shown until the next restart only: keep it now.",
            "",
        ]
    lines.append(f"Next: {next_step(state)}")
    return "\n".join(lines) + "\n"
