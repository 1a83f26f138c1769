"""The appliance registers at Asterisk as an extension: docs/integrations/asterisk-sip.md, docs/pbx.md."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.contract.running import Service, until
from tests.media import observe

from .calls import Calls
from .conftest import StartAsterisk
from .program import Asterisk
from .test_trunk import DIALPLAN, PAGE

pytestmark = pytest.mark.asterisk

EXTENSION, TLS = (PAGE, "As an extension"), (PAGE, "An extension over TLS")
KEYS = {"/etc/asterisk/keys/asterisk": "/srv/keys/asterisk"}
CALLED = {"PJSIP/voiceverify": "PJSIP/verify"}
PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
PASSWORD = "of-the-extension"  # noqa: S105
# Over UDP it is noticed after 76 s.
AWAY_S = 90
# The pause between attempts doubles up to two minutes.
BACK_S = 150


class Instance:
    """A PBX instance of the service."""

    def __init__(self, service: Service, pbx: Asterisk, transport: str) -> None:
        self._client = service.client("operator")
        self._document = {"name": transport, "host": pbx.address, "port": PORTS[transport], "transport": transport}
        added = self._client.post("/api/v2/pbx", json=self._document).raise_for_status()
        self.uuid = added.json()["uuid"]

    def register(self, *, username: str = "verify", password: str = PASSWORD) -> None:
        document = {**self._document, "username": username, "password": password}
        self._client.put(f"/api/v2/pbx/{self.uuid}", json=document).raise_for_status()

    def until(self, state: str, seconds: float = 20) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (registration := self._described()["registration"])["state"] != state:
            assert time.monotonic() < deadline, registration
            time.sleep(0.1)
        return dict(registration)

    @property
    def running_calls(self) -> int:
        return int(self._described()["running_calls"])

    def remove(self) -> None:
        self._client.delete(f"/api/v2/pbx/{self.uuid}").raise_for_status()
        self._client.close()

    def _described(self) -> dict[str, Any]:
        return dict(self._client.get(f"/api/v2/pbx/{self.uuid}").raise_for_status().json())


@contextmanager
def instance(service: Service, pbx: Asterisk, transport: str) -> Iterator[Instance]:
    made = Instance(service, pbx, transport)
    try:
        yield made
    finally:
        made.remove()


@pytest.mark.parametrize("rewritten", ["no", "yes"])
@pytest.mark.parametrize("transport", list(PORTS))
def test_a_call_to_the_extension_is_a_stream_of_that_pbx(
    service: Service, asterisk: StartAsterisk, calls: Calls, transport: str, rewritten: str
) -> None:
    words = {**CALLED, **KEYS, "A_LONG_PASSWORD": PASSWORD, "rewrite_contact = no": f"rewrite_contact = {rewritten}"}
    pbx = asterisk(EXTENSION, TLS, DIALPLAN, words=words)
    with instance(service, pbx, transport) as ours:
        ours.register()
        ours.until("registered")
        with calls.by_dialplan(pbx) as uuid:
            assert observe.wait_for(service, uuid)["pbx"] == ours.uuid
            assert ours.running_calls == 1
            calls.decide(uuid)
    until(lambda: "verify/sip" not in pbx.command("pjsip show contacts"))


def test_what_is_wrong_with_a_registration_is_told(service: Service, asterisk: StartAsterisk) -> None:
    pbx = asterisk(EXTENSION, words={"A_LONG_PASSWORD": PASSWORD})
    with instance(service, pbx, "tcp") as ours:
        ours.register(password="guessed")  # noqa: S106
        assert ours.until("failed")["last_error"]["code"] == "wrong_password"
        ours.register(username="nobody")
        assert ours.until("failed")["last_error"]["code"] == "wrong_password"
        ours.register()
        assert ours.until("registered")["last_error"] is None


def test_registrations_come_back_after_an_outage(service: Service, asterisk: StartAsterisk) -> None:
    words = {**KEYS, "A_LONG_PASSWORD": PASSWORD, "max_contacts = 1": f"max_contacts = {len(PORTS)}"}
    pbx = asterisk(EXTENSION, TLS, words=words)
    with ExitStack() as stack:
        instances = [stack.enter_context(instance(service, pbx, transport)) for transport in PORTS]
        for each in instances:
            each.register()
            each.until("registered")
        pbx.kill()
        gone = time.monotonic()
        for each in instances:
            assert each.until("failed", AWAY_S)["last_error"]["code"] in ("unreachable", "timeout")
        time.sleep(max(0, AWAY_S - (time.monotonic() - gone)))
        pbx.start()
        for each in instances:
            each.until("registered", BACK_S)
        assert pbx.command("pjsip show contacts").count("verify/sip") == len(PORTS)
