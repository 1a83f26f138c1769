"""Who may connect by a media protocol: with a key of ours, a ticket, or what the protocol signs with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from uuid import UUID

from fastapi import WebSocket
from starlette.concurrency import run_in_threadpool

from voice_verify.api.dependencies import require
from voice_verify.api.middleware import identify, known
from voice_verify.api.websocket import KEY_SUBPROTOCOL
from voice_verify.errors import Unauthenticated
from voice_verify.media.actions import Handshake, Name
from voice_verify.services.container import Services
from voice_verify.services.keys import Role


async def admit(websocket: WebSocket, services: Services, protocol: Name) -> Handshake:
    """What the peer said, once it has proved that it may send calls.

    Raises Unauthenticated, Forbidden and DatabaseUnavailable.
    """
    parameters = dict(websocket.query_params)
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in websocket.scope["headers"]}
    offered: list[str] = websocket.scope["subprotocols"]
    account = await _account(websocket, services, protocol, headers)
    ticket = parameters.pop("ticket", None)
    if account is None and ticket is not None:
        _redeem(services, parameters.get("uuid", ""), ticket)
    elif account is None:
        await _with_key(websocket, services, headers, offered)
    return Handshake(parameters, headers, offered, account)


async def _account(websocket: WebSocket, services: Services, protocol: Name, headers: Mapping[str, str]) -> str | None:
    """Who signed the connection; None when it is not signed, or the protocol signs nothing."""
    target = _target(websocket)
    if protocol is Name.twilio and (signature := headers.get("x-twilio-signature")):
        urls = _urls(headers.get("host", ""), services.settings.public_ws_url, target)
        return await run_in_threadpool(services.media_secrets.twilio_account, urls, signature)
    if protocol is Name.audiohook and ("signature" in headers or "signature-input" in headers):
        return await run_in_threadpool(services.media_secrets.audiohook_key, headers, target)
    return None


def _target(websocket: WebSocket) -> str:
    """Path and query as they were sent."""
    path: str = websocket.scope["raw_path"].decode("latin-1")
    query: str = websocket.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _urls(host: str, public_url: str, target: str) -> Sequence[str]:
    """As what Twilio, which knows TLS only, may have been given: by the name it asked for, or by the public one."""
    public = public_url.rstrip("/").partition("://")[2]
    return [f"wss://{name}{target}" for name in (host, public) if name]


def _redeem(services: Services, uuid: str, ticket: str) -> None:
    try:
        is_good = services.streams.redeem(UUID(uuid), ticket)
    except ValueError:
        is_good = False
    if not is_good:
        raise Unauthenticated(
            "This ticket is not valid, or was used before", hint="open another stream, or connect with a key"
        )


async def _with_key(
    websocket: WebSocket, services: Services, headers: Mapping[str, str], offered: Sequence[str]
) -> None:
    by_subprotocol = [name.removeprefix(KEY_SUBPROTOCOL) for name in offered if name.startswith(KEY_SUBPROTOCOL)]
    key = next(iter(by_subprotocol), None) or headers.get("x-api-key") or _password(headers)
    caller = await (known(services.keys, key) if key else identify(services.keys, websocket.headers))
    require(caller, [Role.integrator])


def _password(headers: Mapping[str, str]) -> str | None:
    """Of RFC 7617: Asterisk, jambonz and FreeSWITCH know no other way to send a key."""
    scheme, _, credentials = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2] or None
    except (binascii.Error, ValueError):
        return None
