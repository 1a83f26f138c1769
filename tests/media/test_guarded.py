"""A service that knows its callers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.running import Service, until

from . import observe
from .conftest import SIP, StartPhone, StartTelephony
from .network import Host, Network
from .scenario import Scenario
from .sipp import Caller

USER, PASSWORD = "trunk", "of-the-trunk"
WRONG_PASSWORDS = "voice_verify_telephony_authentication_failures_total"


@pytest.fixture(scope="module")
def trunk_host(host: Callable[[], Host]) -> Host:
    return host()


@pytest.fixture(scope="module")
def service(start: StartTelephony, trunk_host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "accounts.json").write_text(json.dumps({USER: PASSWORD}))
    running = start(folder, sip_accounts_file=folder / "accounts.json", sip_peers=f"{trunk_host.address}/32")
    yield running
    running.stop()


def login(password: str, uuid: str = "") -> Scenario:
    """A call that is challenged, and comes again with that password."""
    proof = f"[authentication username={USER} password={password}]"
    return Scenario(uuid=uuid).invite().receive(401).ack_refusal().invite(headers=proof)


def test_sipp_logs_in(service: Service, network: Network, trunk_host: Host, tmp_path: Path, uuid: str) -> None:
    scenario = login(PASSWORD, uuid).receive(200).ack().bye()
    Caller(tmp_path, trunk_host, scenario, f"{network.address}:{SIP}").succeed()
    assert observe.report(service, uuid)["end_reason"] == "client_closed"


def test_baresip_logs_in(service: Service, network: Network, trunk_host: Host, phone: StartPhone) -> None:
    caller = phone(f"<sip:{USER}@{network.address}>;regint=0;auth_pass={PASSWORD};audio_codecs=pcma", on=trunk_host)
    caller.call(f"sip:voice@{network.address}:{SIP}")
    (uuid,) = observe.streams(service)
    caller.hang_up()
    assert observe.report(service, uuid)["end_reason"] == "client_closed"


def test_a_wrong_password_is_refused(service: Service, network: Network, trunk_host: Host, tmp_path: Path) -> None:
    before = observe.metrics(service).get(WRONG_PASSWORDS, 0)
    scenario = login("of-another").receive(401).ack_refusal()
    Caller(tmp_path, trunk_host, scenario, f"{network.address}:{SIP}").succeed()
    assert not observe.streams(service)
    until(lambda: observe.metrics(service).get(WRONG_PASSWORDS, 0) == before + 1)


def test_a_stranger_is_refused(service: Service, network: Network, host: Callable[[], Host], tmp_path: Path) -> None:
    scenario = Scenario().invite().receive(403).ack_refusal()
    Caller(tmp_path, host(), scenario, f"{network.address}:{SIP}").succeed()
    assert not observe.streams(service)
