"""Registrations through the whole service, as an operator sees them: API, metrics, log; the PBX is a real Kamailio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.media.certificates import Authority
from tests.media.kamailio import Kamailio

from . import licences
from .phone import call
from .running import Service, free_port

PATH = "/api/v2/pbx"
RIGHT, WRONG = "correct horse", "battery staple"
CALLER = "anna"
USERS = {"udp": "vv-udp", "tcp": "vv-tcp", "tls": "vv-tls"}
# An outage of some seconds leads to pauses of some seconds; the machine may be busy.
PATIENCE_S = 60


class Appliance:
    """A service with telephony, and one PBX that it knows."""

    def __init__(self, service: Service, pbx: Kamailio) -> None:
        self.service = service
        self.pbx = pbx
        self.operator = service.client("operator")

    def document(self, transport: str, /, **changes: Any) -> dict[str, Any]:
        port = self.pbx.tls_port if transport == "tls" else self.pbx.port
        where = {"host": self.pbx.address, "port": port, "transport": transport}
        return {"name": f"By {transport}", **where, "username": USERS[transport], "password": RIGHT, **changes}

    @contextmanager
    def instance(self, transport: str, /, **changes: Any) -> Iterator[str]:
        """Path of an instance, which is removed in the end."""
        added = self.operator.post(PATH, json=self.document(transport, **changes))
        assert added.status_code == 201, added.text
        path = f"{PATH}/{added.json()['uuid']}"
        try:
            yield path
        finally:
            self.operator.delete(path).raise_for_status()

    def change(self, path: str, transport: str, /, **changes: Any) -> None:
        self.operator.put(path, json=self.document(transport, **changes)).raise_for_status()

    def registration(self, path: str) -> dict[str, Any]:
        answer = self.operator.get(path).raise_for_status()
        return dict(answer.json()["registration"])

    def running_calls(self, path: str) -> int:
        answer = self.operator.get(path).raise_for_status()
        return int(answer.json()["running_calls"])

    def until(self, path: str, state: str) -> dict[str, Any]:
        """The registration, once it is in that state."""
        wait(lambda: self.registration(path)["state"] == state)
        return self.registration(path)

    def contacts(self, transport: str, number: int) -> list[str]:
        """What the PBX knows of the user, once it is so much."""
        wait(lambda: len(self.pbx.contacts(USERS[transport])) == number)
        return self.pbx.contacts(USERS[transport])


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def appliance(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    folder = tmp_path_factory.mktemp("appliance")
    authority = Authority(folder)
    users = dict.fromkeys([CALLER, *USERS.values()], RIGHT)
    # Its calls come on the connections that registered, as with phones behind NAT.
    pbx = Kamailio(folder, users, certificate=authority.issue("127.0.0.1"), alias=True)
    service = Service(
        folder,
        model_dir,
        f"sqlite:///{folder}/service.db",
        licence=licences.licence(features=("sip",)),
        sip_host="127.0.0.1",
        sip_port=free_port(),
        sip_ca_file=authority.certificate,
    )
    service.prepare("operator", "integrator")
    pbx.start()
    service.start()
    try:
        yield Appliance(service, pbx)
    finally:
        service.stop()
        pbx.stop()
    for word in (RIGHT, WRONG):
        assert word not in service.log


@pytest.mark.parametrize("transport", USERS)
def test_an_instance_registers_and_unregisters(appliance: Appliance, transport: str) -> None:
    with appliance.instance(transport) as path:
        registration = appliance.until(path, "registered")
        assert registration["since"] < registration["until"]
        assert registration["last_error"] is None
        [contact] = appliance.contacts(transport, 1)
        assert contact.startswith(f"sip:{USERS[transport]}@127.0.0.1:")
        metrics = httpx.get(f"{appliance.service.url}/metrics").text
        [line] = [
            line for line in metrics.splitlines() if path.rpartition("/")[2] in line and 'state="registered"' in line
        ]
        assert line.startswith("voice_verify_telephony_pbx_registration{")
        assert line.endswith(" 1.0")
    appliance.contacts(transport, 0)


@pytest.mark.parametrize("transport", USERS)
def test_a_wrong_password_is_shown_and_can_be_put_right(appliance: Appliance, transport: str) -> None:
    with appliance.instance(transport, password=WRONG) as path:
        error = appliance.until(path, "failed")["last_error"]
        assert error["code"] == "wrong_password"
        assert WRONG not in error["message"]
        appliance.change(path, transport)
        assert appliance.until(path, "registered")["last_error"] is None


@pytest.mark.parametrize("transport", USERS)
def test_a_call_to_the_extension_is_of_this_pbx_and_outlives_changes(appliance: Appliance, transport: str) -> None:
    async def work(path: str) -> None:
        async with call(appliance.pbx, CALLER, RIGHT, USERS[transport]) as answer:
            assert answer.status == 200
            if transport == "tls":
                # Without a certificate of ours nobody can connect to us: what follows comes as the call came.
                (_, port) = appliance.contacts(transport, 1)[0].partition(";")[0].rsplit(":", 1)
                assert f":{port};transport=tls" in (answer.headers.get("Contact") or "")
            await asyncio.to_thread(wait, lambda: appliance.running_calls(path) == 1)
            with appliance.service.client() as client:
                [stream] = client.get("/api/v2/streams").json()["streams"]
            assert stream["pbx"] == path.rpartition("/")[2]
            # Neither what happens to others nor to the registration ends it.
            with appliance.instance("udp", name="Another", username="nobody") as other:
                await asyncio.to_thread(appliance.until, other, "failed")
            appliance.change(path, transport, password=WRONG)
            await asyncio.to_thread(appliance.until, path, "failed")
            assert appliance.running_calls(path) == 1
        await asyncio.to_thread(wait, lambda: appliance.running_calls(path) == 0)

    with appliance.instance(transport) as path:
        appliance.until(path, "registered")
        appliance.contacts(transport, 1)
        asyncio.run(work(path))


def test_a_wrong_host_and_a_wrong_certificate_are_shown(appliance: Appliance) -> None:
    with (
        appliance.instance("tcp", name="Nowhere", host="no-such-host.invalid") as nowhere,
        appliance.instance("tcp", name="Silent", port=free_port()) as silent,
        # The certificate is for the address only.
        appliance.instance("tls", name="Other name", host="localhost") as other,
    ):
        codes = [appliance.until(path, "failed")["last_error"]["code"] for path in (nowhere, silent, other)]
        assert codes == ["host_not_found", "unreachable", "certificate"]


def test_without_a_username_nothing_is_registered(appliance: Appliance) -> None:
    with appliance.instance("udp", username=None, password=None) as path:
        assert appliance.until(path, "not_registered")["last_error"] is None


def test_a_change_leaves_other_registrations_alone(appliance: Appliance) -> None:
    with appliance.instance("tcp") as other, appliance.instance("udp") as path:
        before = appliance.until(other, "registered")
        appliance.until(path, "registered")
        appliance.change(path, "udp", password=WRONG)
        appliance.until(path, "failed")
        appliance.contacts("udp", 0)
        appliance.change(path, "udp", transport="tcp")
        appliance.until(path, "registered")
        [contact] = appliance.contacts("udp", 1)
        assert "transport=tcp" in contact
        assert appliance.registration(other) == before


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_an_outage_of_the_pbx_shows_and_passes(appliance: Appliance, transport: str) -> None:
    with appliance.instance(transport) as path:
        appliance.until(path, "registered")
        appliance.pbx.stop()
        error = appliance.until(path, "failed")["last_error"]
        assert error["code"] in {"connection_lost", "unreachable"}
        appliance.pbx.start()
        appliance.until(path, "registered")
        appliance.contacts(transport, 1)


def test_the_service_unregisters_when_it_stops_and_registers_when_it_starts(appliance: Appliance) -> None:
    with appliance.instance("udp") as udp, appliance.instance("tls") as tls:
        for path in (udp, tls):
            appliance.until(path, "registered")
        appliance.service.stop()
        for transport in ("udp", "tls"):
            assert appliance.pbx.contacts(USERS[transport]) == []
        appliance.service.start()
        for path in (udp, tls):
            appliance.until(path, "registered")
        for transport in ("udp", "tls"):
            appliance.contacts(transport, 1)
