"""The appliance as an upgrade talks to it: over its API, with an operator's key."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

import httpx

from vvctl.upgrade.errors import ApplianceError
from vvctl.upgrade.release import Release

_API = "/api/v2"
_PROBE_S = 5
_CALL_S = httpx.Timeout(30, connect=5)
# Until the first byte: a backup is made, every record is read for an inventory, a long recording is heard by a guest
# under emulation.
_WORK_S = httpx.Timeout(600, connect=5)
# All of it is looked at, then written, before the answer comes.
_RESTORE_S = httpx.Timeout(3600, connect=5)
_BLOCK = 1 << 20
_INVENTORY_FORMATS = (1, 2)


class Appliance:
    """The API at `url`. Every method raises ApplianceError."""

    def __init__(self, url: str, key: str, *, ca_file: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"},
            verify=True if ca_file is None else str(ca_file),
            timeout=_CALL_S,
            # A connection to a system that was switched off meanwhile would be waited for.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def probe(self) -> None:
        """Whether anybody answers, ready or not; a system that is not up yet is not waited for long."""
        try:
            self._http.get("/health/ready", timeout=_PROBE_S)
        except httpx.HTTPError as error:
            raise self._silent(error) from error

    def inventory(self, through: str = "") -> dict[str, Any]:
        """Version, format, and of every kind of record how many there are and a checksum over them.

        `through` is that of an earlier inventory: records that only ever become more are then counted up to there.
        """
        asked = {"through": through} if through else {}
        found = self._call("GET", "/maintenance/inventory", params=asked, timeout=_WORK_S)
        if found.get("format") not in _INVENTORY_FORMATS:
            raise ApplianceError(
                f"{self.url} answers with an inventory of format {found.get('format')}", hint="take a newer vvctl"
            )
        return found

    def release(self) -> Release:
        """What runs."""
        found = self.inventory()
        return Release(found["version"], found["format_epoch"])

    @property
    def in_maintenance(self) -> bool:
        return bool(self._call("GET", "/maintenance")["mode"])

    def running_streams(self) -> int:
        """Streams and uploads that have not ended."""
        running: int = self._call("GET", "/maintenance")["running_streams"]
        return running

    def enter_maintenance(self) -> None:
        """From now on no new stream begins."""
        self._call("POST", "/maintenance/lock")

    def leave_maintenance(self) -> None:
        self._call("POST", "/maintenance/unlock")

    def force_off(self) -> None:
        """End all streams."""
        self._call("POST", "/maintenance/force_off")

    def verify(self, speaker: str, recording: Path) -> dict[str, Any]:
        """The decision on a recording; an operator may ask in maintenance mode, too."""
        try:
            content = recording.read_bytes()
        except OSError as error:
            raise ApplianceError(f"{recording} cannot be read: {error.strerror}") from error
        return self._call("POST", "/verify", data={"speaker": speaker}, files={"recording": content}, timeout=_WORK_S)

    def backup(self, path: Path) -> str:
        """Write a backup to `path`, for this account only; its SHA-256."""
        unfinished = path.with_name(f"{path.name}.part")
        try:
            with open(unfinished, "wb", opener=_private) as file:
                digest = self.fetch_backup(file)
        except OSError as error:
            raise ApplianceError(
                f"{path} cannot be written: {error.strerror}", hint="make room there, or name another --journal"
            ) from error
        unfinished.replace(path)
        return digest

    def fetch_backup(
        self,
        file: IO[bytes],
        *,
        recipient: str = "",
        while_running: bool = False,
        follow: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> str:
        """Write a backup into `file`, and give its SHA-256; encrypted to `recipient`, unless that is empty.

        `follow` is told how many bytes of how many have come. Raises OSError, too, when `file` takes no more.
        """
        digest = hashlib.sha256()
        asked: dict[str, str | bool] = {"recipient": recipient, "while_running": while_running}
        try:
            with self._http.stream("POST", f"{_API}/maintenance/backup", params=asked, timeout=_WORK_S) as answer:
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                for block in answer.iter_bytes(_BLOCK):
                    digest.update(block)
                    file.write(block)
                    follow(file.tell(), int(answer.headers.get("content-length", 0)))
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        return digest.hexdigest()

    def restore(self, content: Iterable[bytes]) -> dict[str, Any]:
        """Replace what the appliance holds by a backup in clear; all of it or, when it is refused, nothing."""
        return self._call("POST", "/maintenance/loadbackup", content=content, timeout=_RESTORE_S)

    def _call(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            answer = self._http.request(method, f"{_API}{path}", **content)
        except httpx.HTTPError as error:
            raise self._silent(error) from error
        if answer.is_error:
            raise _refusal(answer)
        try:
            found: dict[str, Any] = answer.json() if answer.content else {}
        except ValueError as error:
            raise ApplianceError(
                f"{answer.request.url} answered with something else than JSON",
                hint="is this the address of the appliance?",
                transient=True,
            ) from error
        return found

    def _silent(self, error: httpx.HTTPError) -> ApplianceError:
        return ApplianceError(
            f"{self.url} does not answer: {error or type(error).__name__}",
            hint="is this the address of the appliance, and may this computer reach it?",
            transient=True,
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _refusal(answer: httpx.Response) -> ApplianceError:
    try:
        detail = answer.json()["detail"].rstrip(".")
    except (ValueError, KeyError, TypeError):
        detail = f"{answer.request.url} answered {answer.status_code}"
    hint = "give an operator's key with --key or VV_API_KEY" if answer.status_code in {401, 403} else ""
    return ApplianceError(detail, hint=hint, transient=answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR)
