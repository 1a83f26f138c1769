"""Who may send calls by a media protocol: keys, tickets, and the protocols' own signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from ..conftest import StartService
from ..running import Service, problem
from . import exchange, peer

# None of this depends on the kind of database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

PATH = "/api/v2/media/secrets"
TWILIO, GENESYS = exchange.load("twilio-one-track"), exchange.load("audiohook")
ACCOUNT = "AC00000000000000000000000000000000"
TOKEN = secrets.token_hex(16)
KEY, CLIENT_SECRET = "vv-genesys-key", secrets.token_bytes(32)
COMPONENTS = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)


@pytest.fixture(autouse=True)
def stored(service: Service) -> Iterator[None]:
    """The secrets of a Twilio account and of a Genesys integration, and of another account."""
    names = (("twilio", ACCOUNT), ("twilio", "AC" + "1" * 32), ("audiohook", KEY))
    with service.client("operator") as operator:
        for (protocol, name), secret in zip(
            names, (TOKEN, secrets.token_hex(16), base64.b64encode(CLIENT_SECRET).decode()), strict=True
        ):
            operator.put(f"{PATH}/{protocol}/{name}", json={"secret": secret}).raise_for_status()
        yield
        for protocol, name in names:
            operator.delete(f"{PATH}/{protocol}/{name}").raise_for_status()


@pytest.mark.parametrize("name", exchange.names())
def test_nobody_gets_in_without_credentials(service: Service, name: str) -> None:
    document = exchange.load(name)
    for headers in (
        {"Origin": "http://a.example"},
        {"Authorization": "Bearer guessed"},
        {"Authorization": "Basic %%%"},
        {"Authorization": _basic("guessed")},
        {"X-API-KEY": "guessed"},
        {"X-Twilio-Signature": "guessed"},
        {"Signature": "sig1=:AAAA:", "Signature-Input": "sig1=()"},
    ):
        problem(peer.refused(service, document, **headers), 401, "unauthenticated")
    viewer = {"Authorization": f"Bearer {service.keys['viewer']}"}
    problem(peer.refused(service, document, **viewer), 403, "forbidden")
    ticket = document["path"] + ("&" if "?" in document["path"] else "?") + "uuid=no&ticket=guessed"
    problem(peer.refused(service, {**document, "path": ticket}, Origin="http://a.example"), 401, "unauthenticated")


def test_a_key_comes_as_each_of_them_can_send_it(service: Service) -> None:
    key = service.keys["integrator"]
    for document, headers in (
        (exchange.load("asterisk"), {"Authorization": _basic(key)}),
        (exchange.load("audiohook-probe"), {"X-API-KEY": key}),
    ):
        with peer.dial(service, document, **headers):
            pass
    jambonz = exchange.load("jambonz")
    with connect(
        f"ws://127.0.0.1:{service.port}{jambonz['path']}", subprotocols=["audio.jambonz.org", f"vv.key.{key}"]
    ) as connection:
        assert connection.subprotocol == "audio.jambonz.org"


def test_twilio_is_let_in_by_its_signature_of_the_url(service: Service) -> None:
    url = f"wss://127.0.0.1:{service.port}{TWILIO['path']}"
    with peer.dial(service, TWILIO, **{"X-Twilio-Signature": _twilio(url)}) as connection:
        for step in TWILIO["steps"][:2]:
            connection.send(exchange.text(step["send"]))
        with service.client() as client:
            _until_one(client)
        connection.send(exchange.text(TWILIO["steps"][-2]["send"]))
        assert peer.closed(connection) == (1000, "client_closed")
    for wrong in (_twilio(f"{url}/other"), _twilio(url, token="0" * 32), _twilio(url).lower(), "", "é"):
        problem(peer.refused(service, TWILIO, **{"X-Twilio-Signature": wrong}), 401, "unauthenticated")


def test_twilio_may_be_given_another_name_than_the_service_sees(start_service: StartService, database: object) -> None:
    behind = start_service(public_ws_url="ws://calls.example.com/")
    behind.prepare("integrator", "operator")
    with behind.client("operator") as operator:
        operator.put(f"{PATH}/twilio/{ACCOUNT}", json={"secret": TOKEN}).raise_for_status()
    with peer.dial(behind, TWILIO, **{"X-Twilio-Signature": _twilio("wss://calls.example.com/stream/twilio")}):
        pass
    forged = {"X-Twilio-Signature": _twilio("wss://a.example/stream/twilio"), "X-Forwarded-Host": "a.example"}
    problem(peer.refused(behind, TWILIO, **forged), 401, "unauthenticated")


def test_an_account_of_twilio_sends_its_own_calls_only(service: Service) -> None:
    url = f"wss://127.0.0.1:{service.port}{TWILIO['path']}"
    with peer.dial(service, TWILIO, **{"X-Twilio-Signature": _twilio(url)}) as connection:
        connection.send(exchange.text(TWILIO["steps"][0]["send"]))
        connection.send(exchange.text(TWILIO["steps"][1]["send"]).replace(ACCOUNT, "AC" + "1" * 32))
        assert peer.closed(connection) == (1008, "forbidden")


def test_genesys_is_let_in_by_its_signature_once(service: Service) -> None:
    headers = _genesys(service)
    with peer.dial(service, GENESYS, **headers) as connection:
        connection.send(exchange.text(GENESYS["steps"][0]["send"]))
        assert exchange.json.loads(connection.recv(timeout=20))["type"] == "opened"
    refusal = problem(peer.refused(service, GENESYS, **headers), 401, "unauthenticated")
    assert "nonce" in refusal["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"secret": b"0" * 32},
        {"created": -60},
        {"created": 60},
        {"components": COMPONENTS[:-1]},
        {"target": "/stream/other"},
        {"nonce": "short"},
        {"key": "other"},
        {"algorithm": "rsa-pss-sha512"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_genesys_is_not_let_in_by_another_signature(service: Service, change: dict[str, Any]) -> None:
    problem(peer.refused(service, GENESYS, **_genesys(service, **change)), 401, "unauthenticated")
    # The key alone is worth nothing where there is a secret.
    problem(peer.refused(service, GENESYS, **{"X-API-KEY": KEY}), 401, "unauthenticated")


def test_secrets_are_never_shown(service: Service) -> None:
    with service.client("operator") as operator, service.client("viewer") as viewer:
        listed = operator.get(PATH)
        assert [(one["protocol"], one["name"]) for one in listed.json()["secrets"]] == [
            ("audiohook", KEY),
            ("twilio", ACCOUNT),
            ("twilio", "AC" + "1" * 32),
        ]
        assert TOKEN not in listed.text
        problem(viewer.get(PATH), 403, "forbidden")
        problem(operator.put(f"{PATH}/audiohook/k", json={"secret": "no base64"}), 422, "invalid_request")
        problem(operator.put(f"{PATH}/vonage/k", json={"secret": "a"}), 422, "invalid_request")
        problem(operator.delete(f"{PATH}/twilio/nobody"), 404, "media_secret_not_found")
    assert TOKEN not in service.log


def test_refusals_are_counted(service: Service) -> None:
    line = 'vv_media_connections_total{outcome="unauthenticated",protocol="vonage"}'
    before = _metric(service, line)
    peer.refused(service, exchange.load("vonage"), Origin="http://a.example")
    assert _metric(service, line) == before + 1


def _twilio(url: str, token: str = TOKEN) -> str:
    return base64.b64encode(hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()).decode()


def _genesys(
    service: Service,
    *,
    secret: bytes = CLIENT_SECRET,
    created: int = 0,
    components: tuple[str, ...] = COMPONENTS,
    target: str = GENESYS["path"],
    nonce: str | None = None,
    key: str = KEY,
    algorithm: str = "hmac-sha256",
) -> dict[str, str]:
    """The headers with which Genesys connects: signed as its reference implementation does it."""
    values = {name.lower(): value for name, value in GENESYS["headers"].items()}
    values |= {"@request-target": target, "@authority": f"127.0.0.1:{service.port}", "x-api-key": key}
    listed = " ".join(f'"{name}"' for name in components)
    described = (
        f'({listed});keyid="{key}";nonce="{nonce or secrets.token_urlsafe(24)}";alg="{algorithm}"'
        f";created={int(time.time()) + created};expires={int(time.time()) + created + 10}"
    )
    base = "\n".join([*(f'"{name}": {values[name]}' for name in components), f'"@signature-params": {described}'])
    signature = base64.b64encode(hmac.new(secret, base.encode(), hashlib.sha256).digest()).decode()
    return {"X-API-KEY": key, "Signature-Input": f"sig1={described}", "Signature": f"sig1=:{signature}:"}


def _basic(key: str) -> str:
    return f"Basic {base64.b64encode(f'vv:{key}'.encode()).decode()}"


def _until_one(client: httpx.Client) -> None:
    deadline = time.monotonic() + 20
    while len(client.get("/api/v2/streams").json()["streams"]) != 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _metric(service: Service, line: str) -> float:
    with service.client("") as client:
        text = client.get("/metrics").text
    return next((float(found.split()[-1]) for found in text.splitlines() if found.startswith(line)), 0.0)
