"""What vCenter refuses, in the words of an upgrade."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import httpx
from pyVmomi import vim, vmodl

from vvctl.publish.vmware.errors import UNREACHABLE, MissingPrivileges, Untrusted, VsphereError, explained
from vvctl.upgrade.errors import ProviderError

# Something else is at work on the same thing, a host has not given back the lock on a file yet or is not reached now,
# or the look at the world was too old.
_PASSING = (
    vim.fault.TaskInProgress,
    vim.fault.MethodDisabled,
    vim.fault.ConcurrentAccess,
    vim.fault.InvalidPowerState,
    vim.fault.FileLocked,
    vim.fault.Timedout,
    vim.fault.NotAuthenticated,
    vmodl.fault.HostCommunication,
    vmodl.fault.ManagedObjectNotFound,
    *UNREACHABLE,
)
# A proxy, which has nobody behind it now.
_PASSING_STATUS = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}


@contextmanager
def as_provider_errors(doing: str) -> Iterator[None]:
    """What the libraries raise inside is ProviderError outside."""
    try:
        with explained(doing), _in_its_words():
            yield
    except VsphereError as error:
        passes = _passes(error.__cause__) and not isinstance(error, Untrusted)
        hint = "docs/upgrade-vmware.md lists all of them" if isinstance(error, MissingPrivileges) else error.hint
        raise ProviderError(error.message, hint=hint, transient=passes) from error


def _passes(cause: BaseException | None) -> bool:
    if isinstance(cause, httpx.HTTPStatusError):
        return cause.response.status_code in _PASSING_STATUS
    return isinstance(cause, _PASSING)


@contextmanager
def _in_its_words() -> Iterator[None]:
    try:
        yield
    except vim.fault.DuplicateName as error:
        raise ProviderError(f"there is another {error.name} in the folder", hint="rename that one") from error
    except vim.fault.ToolsUnavailable as error:
        raise ProviderError(
            "VMware Tools do not run in the guest, so it cannot be told to shut down",
            hint="shut it down at its console, then resume",
        ) from error
