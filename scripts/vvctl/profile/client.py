"""The Audio Source Profiles of a running service."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from vvctl.demo.client import Api, ServiceError
from vvctl.profile import document


class ProfileClient:
    """The API at `url`, called with an operator's key. Every method raises ServiceError."""

    def __init__(self, url: str, key: str) -> None:
        if not key:
            raise ServiceError(
                "an API key is needed",
                hint="give an operator's key with --key or VV_API_KEY",
                code="unauthenticated",
            )
        self._api = Api(url, key)

    def upload(self, path: Path) -> dict[str, Any]:
        """Raises DataError when the file is no profile."""
        return self._call("POST", "/maintenance/asp/", document.load(str(path)).model_dump(mode="json"))

    def activate(self, profile: str) -> dict[str, Any]:
        """By UUID; by name the newest uploaded one, else the packaged one."""
        try:
            UUID(profile)
        except ValueError:
            return self._call("POST", f"/maintenance/load_asp/{profile}/")
        return self._call("POST", f"/maintenance/asp/{profile}/active", {"active": True})

    def all(self) -> list[dict[str, Any]]:
        profiles: list[dict[str, Any]] = self._call("GET", "/maintenance/asp/")["profiles"]
        return profiles

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            return self._api.call(method, path, body)
        except ServiceError as error:
            if error.code == "forbidden":
                hint = "voice-verify keys create --role operator makes a key that may"
                raise ServiceError(error.message, hint=hint, code=error.code) from error
            raise
