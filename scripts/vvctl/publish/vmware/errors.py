"""What vCenter answers, as errors that say what to do."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from pyVmomi import vim, vmodl

from vvctl.errors import VvctlError


class VsphereError(VvctlError):
    """vCenter refused something, or did not answer."""

    code = "vsphere"


class Untrusted(VsphereError):
    """The server's certificate is not one that this machine, --ca-file or --thumbprint trusts."""

    code = "vsphere_untrusted"


class LoginRefused(VsphereError):
    """Wrong user or password, or the session has ended."""

    code = "vsphere_login"


class NotThere(VsphereError):
    """Something that was named is not in the inventory, or more than one would do."""

    code = "vsphere_not_there"


class MissingPrivileges(VsphereError):
    """The user may not do what the publication needs."""

    code = "vsphere_privileges"


class NotEnoughSpace(VsphereError):
    code = "vsphere_space"


class NameTaken(VsphereError):
    code = "vsphere_name_taken"


class NotOurs(VsphereError):
    """What was to be removed was not made by vvctl, or is a copy of what was."""

    code = "vsphere_not_ours"


class LeftBehind(VsphereError):
    """The publication failed and could not be taken back."""

    code = "vsphere_left_behind"


def reason(fault: object) -> str:
    """What a fault of vSphere or another error says, or at least what it is called."""
    said = getattr(fault, "msg", "") if isinstance(fault, vmodl.MethodFault) else str(fault)
    return str(said or type(fault).__name__)


# What the libraries raise when there is no answer, or one of a proxy.
UNREACHABLE = (OSError, http.client.HTTPException, httpx.TransportError)


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what the libraries raise while `doing` something into errors for a person."""
    try:
        yield
    except vim.fault.InvalidLogin as error:
        raise LoginRefused(
            "vCenter refuses the user or the password", hint="VV_VSPHERE_USER is written user@domain"
        ) from error
    except vim.fault.NotAuthenticated as error:
        raise LoginRefused(f"the session ended while {doing}", hint="run the same command again") from error
    except vim.fault.NoPermission as error:
        raise MissingPrivileges(
            f"{doing} needs the privilege {error.privilegeId}", hint="docs/install-vmware.md lists all of them"
        ) from error
    except vim.fault.DuplicateName as error:
        raise NameTaken(f"{error.name} exists already", hint="choose another --name, or unpublish it first") from error
    except vmodl.MethodFault as error:
        raise VsphereError(f"vCenter failed {doing}: {reason(error)}") from error
    except UNREACHABLE as error:
        if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
            timely = not any(reason in str(error) for reason in ("not yet valid", "has expired"))
            raise Untrusted(
                f"the certificate of vCenter is not trusted: {error}",
                hint="give the authority that issued it with --ca-file, or its own SHA-256 with --thumbprint"
                if timely
                else "is the clock of this computer right? if it is, renew the certificate of vCenter",
            ) from error
        raise VsphereError(
            f"the connection broke while {doing}: {reason(error)}",
            hint="check the network and run the same command again",
        ) from error
