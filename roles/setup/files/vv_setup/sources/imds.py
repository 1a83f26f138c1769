"""EC2's instance metadata, version 2 only: every question carries a token that was asked for before.

Amazon EC2 User Guide, "Use the Instance Metadata Service to access instance metadata".
"""

from __future__ import annotations

import http.client
import time

from .. import userdata
from ..environment import MAXIMUM_BYTES, Environment, Interface, Unreadable, decode

SOURCE = "EC2 user data"
ADDRESS = ("169.254.169.254", 80)
# Amazon's time servers, which need no way to the internet.
TIME_SERVER = "169.254.169.123"
# At boot the network is still coming up.
PATIENCE_S = 120.0
TRY_S = 5.0
PAUSE_S = 1.0
TOKEN_LIVES_S = 300


def read(address: tuple[str, int] = ADDRESS, patience_s: float = PATIENCE_S) -> Environment:
    """What this instance was launched with. Raises Unreadable when the metadata do not answer in `patience_s`."""
    metadata = _Metadata(address, patience_s)
    content, problem = metadata.get("user-data"), ""
    try:
        properties = userdata.parse(decode(content))
    except Unreadable as error:
        # Not the end: with the key pair somebody can log in.
        properties, problem = {}, f"the user data cannot be read: {error}"
    defaults = {"ntp": TIME_SERVER}
    key = _key_pair(metadata)
    if key:
        defaults["ssh_key"] = key
    return Environment(
        SOURCE, properties, defaults, only_our_keys=True, assigns_addresses=True, interfaces=_interfaces(metadata),
        problem=problem,
    )  # fmt: skip


def _key_pair(metadata: _Metadata) -> str:
    """The public half of the key pair chosen at the launch; empty without one."""
    for line in metadata.text("meta-data/public-keys/").splitlines():
        return metadata.text(f"meta-data/public-keys/{line.partition('=')[0]}/openssh-key").strip()
    return ""


def _interfaces(metadata: _Metadata) -> tuple[Interface, ...]:
    """The network interfaces beside the first one."""
    folder = "meta-data/network/interfaces/macs/"
    found = []
    for line in metadata.text(folder).split():
        mac = line.rstrip("/")
        number = metadata.text(f"{folder}{mac}/device-number").strip()
        if number.isdigit() and int(number):
            found.append(Interface(int(number), mac, tuple(metadata.text(f"{folder}{mac}/local-ipv4s").split())))
    return tuple(sorted(found, key=lambda card: card.number))


class _Metadata:
    """Asks for as long as `patience_s` altogether."""

    def __init__(self, address: tuple[str, int], patience_s: float) -> None:
        self._address = address
        self._patience_s = patience_s
        self._until = time.monotonic() + patience_s
        self._token = ""

    def text(self, path: str) -> str:
        return decode(self.get(path))

    def get(self, path: str) -> bytes:
        """What is at `path`; empty when nothing is."""
        while True:
            status, content, reason = self._try(path)
            if status == http.HTTPStatus.OK:
                return content
            if status == http.HTTPStatus.NOT_FOUND:
                return b""
            if status == http.HTTPStatus.FORBIDDEN:
                raise Unreadable("EC2 refuses to give metadata; enable the metadata endpoint, then run: sudo vv-setup")
            # A token may have run out, everything else may be better in a moment.
            self._token = ""
            left = self._until - time.monotonic()
            if left <= 0:
                raise Unreadable(
                    f"EC2's metadata did not answer for {self._patience_s:.0f} s ({reason}); "
                    "see whether the metadata endpoint is enabled, then run: sudo vv-setup"
                )
            time.sleep(min(PAUSE_S, left))

    def _try(self, path: str) -> tuple[int, bytes, str]:
        """HTTP status, content and, for people, what went wrong; status 0 for no answer of use."""
        try:
            if not self._token:
                status, token = self._ask(
                    "PUT", "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_LIVES_S)}
                )
                if status != http.HTTPStatus.OK:
                    return status if status == http.HTTPStatus.FORBIDDEN else 0, b"", f"no token: HTTP {status}"
                self._token = token.decode("ascii")
            status, content = self._ask("GET", path, {"X-aws-ec2-metadata-token": self._token})
        except (OSError, http.client.HTTPException, ValueError) as error:
            return 0, b"", str(error)
        return status, content, f"HTTP {status}"

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self._address, timeout=TRY_S)
        try:
            connection.request(method, f"/latest/{path}", headers=headers)
            reply = connection.getresponse()
            return reply.status, reply.read(MAXIMUM_BYTES + 1)
        finally:
            connection.close()
