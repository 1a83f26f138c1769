"""The state in words: what the console shows."""

from __future__ import annotations

from typing import Any

from .operator_key import WORD

LABEL_WIDTH = 9


def problems(state: dict[str, Any]) -> list[str]:
    """Everything that keeps the machine from its work, in the order in which to mend it, and then what will."""
    found: list[str] = []
    disk = state["data_disk"]
    if disk and disk["state"] != "ready":
        found += [f"DATA DISK: {disk['message']}", f"           {disk['advice']}"]
        found.append("           Until then the services stay down; nothing is stored.")
    if state["identity"].get("problem"):
        found.append(f"IDENTITY: {state['identity']['problem']}")
    setup = state["setup"]
    if setup.get("state") == "refused":
        found.append(f"PROPERTIES: those from {setup['source'] or 'this machine'} were not applied:")
        found += [f"            {problem}" for problem in setup["problems"]]
    broken = _broken(state)
    if broken:
        found.append(f"FAILED: {', '.join(broken)}")
    if state["backup"].get("failed"):
        found.append("BACKUP: the last one failed; sudo journalctl --unit vv-backup says why")
    if state["tls"].get("problem"):
        found.append(f"TLS: {state['tls']['problem']}")
    found += [f"LICENCE: {problem}" for problem in state["licence"].get("problems", [])]
    return found


def next_step(state: dict[str, Any]) -> str:
    """The one thing to do now."""
    first = _before_the_services(state)
    if first:
        return first
    broken = _broken(state)
    if broken:
        return f"log in by SSH and run: journalctl --boot --unit {broken[0]}"
    if not state["ready"]:
        return "wait until the service is ready"
    if state["tls"].get("enabled") and state["setup"].get("domain"):
        return f"open https://voiceverify.{state['setup']['domain']}:{state['api_tls_port']}/swagger/"
    return f"open http://{state['addresses'][0]}:{state['api_port']}/swagger/"


def _before_the_services(state: dict[str, Any]) -> str:
    disk = state["data_disk"]
    if disk and disk["state"] != "ready":
        return "mend the data disk as said above"
    if state["setup"].get("state") == "refused":
        return "correct the properties and restart, or by SSH: sudo vv-setup set KEY=VALUE"
    if not state["addresses"]:
        return "connect the network, or set the property address"
    if state["setup"].get("state") == "pending":
        return f"wait for {state['setup']['source']}"
    return ""


def _broken(state: dict[str, Any]) -> list[str]:
    return [str(unit) for unit, active in state["services"].items() if active in {"failed", "failing"}]


def render(state: dict[str, Any], operator_key: str = "", *, may_be_kept_here: bool = False) -> str:
    """The screen, at most 80 columns where the values allow it.

    With an `operator_key` that waits: the key itself where it `may_be_kept_here`, elsewhere how to see it.
    """
    lines = [f"{state['title']} {state['version']}  (build {state['build_id']})", ""]
    lines += [f"  {label:{LABEL_WIDTH}} {text}" for label, text in _facts(state) if text]
    found = problems(state)
    lines += ["", *found] if found else []
    if operator_key and may_be_kept_here:
        lines += ["", f"First operator API key: {operator_key}"]
        lines.append(f"Copy it, then type {WORD} and press Enter. After a restart it is not shown.")
    elif operator_key:
        lines += ["", "The first operator API key waits to be seen: on the screen, or run: sudo vv-key first"]
    return "\n".join([*lines, "", f"Next: {next_step(state)}"]) + "\n"


def _facts(state: dict[str, Any]) -> list[tuple[str, str]]:
    disk, domain = state["data_disk"], state["setup"].get("domain")
    services = (f"{unit.removesuffix('.service')} {active}" for unit, active in state["services"].items())
    return [
        ("Host", state["hostname"] + (f", voiceverify.{domain}" if domain else "")),
        ("Address", ", ".join(state["addresses"]) or "none yet"),
        ("Setup", _setup(state["setup"])),
        ("Tier", _tier(state["sizing"])),
        ("Data disk", disk["message"] if disk.get("state") == "ready" else disk.get("state", "looking")),
        ("Identity", "taken over from the data disk" if state["identity"].get("state") == "taken" else ""),
        ("Services", "  ".join(services)),
        ("TLS", _tls(state["tls"])),
        ("Backups", _backups(state["backup"])),
        ("Licence", _licence(state["licence"])),
        ("Health", "ready" if state["ready"] else "not ready"),
    ]


def _setup(setup: dict[str, Any]) -> str:
    if not setup.get("state"):
        return ""
    words = {
        "none": "no properties given",
        "pending": f"waiting for {setup['source']}",
        "refused": "refused, see below",
    }
    text = words.get(setup["state"], f"as {setup['source']} says" if setup["source"] else "as set here")
    return text + (f"; set here: {', '.join(setup['overrides'])}" if setup["overrides"] and setup["source"] else "")


def _tier(size: dict[str, Any]) -> str:
    if not size:
        return ""
    on = f"on {size['cores']} cores, {size['memory_gb']} GiB"
    return f"{size['tier'] or '-'} ({size['label']}): {size['streams']} streams {on}"


def _tls(tls: dict[str, Any]) -> str:
    if not tls:
        return ""
    return f"on, certificate until {tls['not_after'][:10]}" if tls["enabled"] else "off"


def _backups(backup: dict[str, Any]) -> str:
    there = f"{backup['count']} on the data disk, newest {backup['newest']}" if backup.get("count") else "none yet"
    return there if backup.get("wanted") or backup.get("count") else ""


def _licence(licence: dict[str, Any]) -> str:
    if not licence:
        return ""
    until = f", until {licence['expires']}" if licence.get("expires") else ""
    return f"{licence['state']}: {licence['calls']} calls{until}"
