"""The part of the vSphere Automation API that content libraries need.

Below /rest, not /api: there every vCenter from 6.7 to 8 has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx

from vvctl.publish.vmware.connection import Connection
from vvctl.publish.vmware.errors import LoginRefused, MissingPrivileges, VsphereError

_SESSION = "vmware-api-session-id"


class Rest:
    """A session; paths are those below /rest/com/vmware/content/."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def call(self, verb: str, path: str, body: object = None, **query: str) -> Any:
        """The value of an answer, None when it has none.

        Raises LoginRefused, MissingPrivileges or VsphereError with what the service says.
        """
        answer = self._client.request(verb, f"com/vmware/content/{path}", json=body, params=query)
        _check(answer, f"{verb} {path}")
        return answer.json().get("value") if answer.content else None

    def send(self, address: str, content: Iterator[bytes], size: int, timeout_s: float) -> None:
        """Upload a file to an address that the service gave."""
        answer = self._client.put(address, content=content, headers={"Content-Length": str(size)}, timeout=timeout_s)
        _check(answer, "the upload")

    @staticmethod
    def identity(identifier: str) -> str:
        """How a path names one object."""
        return f"id:{identifier}"


@contextmanager
def session(connection: Connection) -> Iterator[Rest]:
    """Log in with the credentials of `connection`."""
    credentials, server = connection.credentials, connection.server
    with connection.http() as client:
        client.base_url = httpx.URL(f"https://{server.host}:{server.port}/rest/")
        answer = client.post("com/vmware/cis/session", auth=(credentials.user, credentials.password))
        _check(answer, "logging in")
        client.headers[_SESSION] = answer.json()["value"]
        try:
            yield Rest(client)
        finally:
            with suppress(httpx.HTTPError):
                client.delete("com/vmware/cis/session")


def _check(answer: httpx.Response, doing: str) -> None:
    if answer.is_success:
        return
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise LoginRefused(f"vCenter refuses {doing}: wrong user or password, or the session ended")
    said = _message(answer)
    if answer.status_code == httpx.codes.FORBIDDEN:
        raise MissingPrivileges(
            f"vCenter refuses {doing}: {said}", hint="docs/install-vmware.md lists the privileges that are needed"
        )
    raise VsphereError(f"vCenter refuses {doing}: {answer.status_code} {said}")


def _message(answer: httpx.Response) -> str:
    """The service's own words, or the kind of its error."""
    try:
        content = answer.json()
        messages = [message["default_message"] for message in content["value"].get("messages", [])]
        return "; ".join(messages) or str(content["type"]).rpartition(".")[2]
    except (ValueError, KeyError, TypeError, AttributeError):
        return answer.text[:200]
