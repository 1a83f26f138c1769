"""What must hold before an upgrade begins and after each start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vvctl.upgrade import release
from vvctl.upgrade.appliance import Appliance
from vvctl.upgrade.context import Context
from vvctl.upgrade.errors import ApplianceError, PreflightFailed
from vvctl.upgrade.options import Canary, Options
from vvctl.upgrade.plan import Finding
from vvctl.upgrade.provider import Provider
from vvctl.upgrade.world import Role


def findings(provider: Provider, appliance: Appliance, options: Options) -> list[Finding]:
    """All that stands in the way, on the platform and in the appliance. Raises ProviderError and ApplianceError."""
    found = list(provider.preflight())
    found += release.check(appliance.release(), provider.target())
    for canary in options.canaries:
        try:
            _verify(appliance, canary)
        except ApplianceError as error:
            if error.transient:
                raise
            found.append(Finding(error.message, error.hint or "give another --canary"))
    return found


def require(found: Sequence[Finding]) -> None:
    """Raises PreflightFailed when anything was found."""
    if found:
        raise PreflightFailed(
            "; ".join(finding.problem for finding in found), hint="; ".join(finding.hint for finding in found)
        )


def preflight(context: Context) -> None:
    """Raises PreflightFailed."""
    require(findings(context.provider, context.appliance, context.options))


def health_of_new(context: Context) -> None:
    """Wait for the new system and compare; raises ApplianceError."""
    target, before = context.provider.target().version, context.record.before

    def healthy() -> str | None:
        if not context.look().runs(Role.NEW):
            raise ApplianceError("the new system switched itself off", hint="look at its console")
        context.appliance.probe()
        found = context.appliance.inventory()
        if before is not None and found["boot"] == before.inventory["boot"]:
            return "the old system answers"
        if found["version"] != target:
            return f"version {found['version']} answers"
        return _found_fault(context, found, compare=True, canaries=context.options.canaries)

    _wait(context, Role.NEW, healthy)


def health_of_old(context: Context) -> None:
    """Wait for the old system, starting it again should it have shut down late, and compare; raises ApplianceError."""
    before = context.record.before

    def healthy() -> str | None:
        old = context.look().old
        if old is None or not old.running:
            context.provider.start(Role.OLD)
        elif old.stopping:
            return "it is still shutting down"
        context.appliance.probe()
        found = context.appliance.inventory()
        if before is not None and found["version"] != before.inventory["version"]:
            return f"version {found['version']} answers"
        # Before it was shut down it may still have had calls in it that changed something.
        return _found_fault(context, found, compare=context.record.left("QUIESCE"))

    _wait(context, Role.OLD, healthy)


def _found_fault(
    context: Context, found: dict[str, Any], *, compare: bool, canaries: Sequence[Canary] = ()
) -> str | None:
    """What may still come right; raises ApplianceError for what will not."""
    if not found["ready"]:
        return "it is not ready yet"
    if compare:
        _compare(context)
    for canary in canaries:
        _verify(context.appliance, canary)
    if context.appliance.inventory()["boot"] != found["boot"]:
        return "it started anew meanwhile"
    return None


def _wait(context: Context, role: Role, healthy: Callable[[], str | None]) -> None:
    last = ""

    def asked() -> str | None:
        nonlocal last
        try:
            missing = healthy()
        except ApplianceError as error:
            if not error.transient:
                raise
            missing = error.message
        last = missing or last
        return missing

    if not context.until(f"the {role} system starts", asked, context.options.start_s):
        raise ApplianceError(
            f"the {role} system was not ready within {context.options.start_s:.0f} s: {last}",
            hint="look at its console and its log",
        )


def _compare(context: Context) -> None:
    before = context.record.before
    if before is None:
        return
    inventory = before.inventory
    after = context.appliance.inventory(inventory["through"])
    different = [
        f"{kind}: {_shown(inventory['records'][kind])} before, {_shown(after['records'].get(kind))} now"
        for kind in inventory["records"]
        if inventory["records"][kind] != after["records"].get(kind)
    ]
    if different:
        raise ApplianceError("the records are not those of before: " + "; ".join(different))


def _shown(records: dict[str, Any] | None) -> str:
    return "none" if records is None else f"{records['count']} ({records['sha256'][:8]})"


def _verify(appliance: Appliance, canary: Canary) -> None:
    """Raises ApplianceError unless it is verified."""
    found = appliance.verify(canary.speaker, canary.recording)
    if found["decision"] != "verified":
        raise ApplianceError(
            f"{canary.recording} was {found['decision'].replace('_', ' ')} as {canary.speaker}",
            hint="give a longer recording of that voice",
        )
