"""A service that knows its callers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.running import Service

from . import observe
from .conftest import SIP, StartTelephony
from .network import Host, Network
from .scenario import Scenario
from .sipp import Caller


@pytest.fixture(scope="module")
def trunk_host(host: Callable[[], Host]) -> Host:
    return host()


@pytest.fixture(scope="module")
def service(start: StartTelephony, trunk_host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "accounts.json").write_text(json.dumps({"trunk": "of-the-trunk"}))
    running = start(folder, sip_accounts_file=folder / "accounts.json", sip_peers=f"{trunk_host.address}/32")
    yield running
    running.stop()


def test_a_caller_without_password_is_challenged_twofold(
    service: Service, network: Network, trunk_host: Host, tmp_path: Path
) -> None:
    # Neither sipp 3.6 nor baresip 1.0 answers a challenge as long as one of several is for SHA-256.
    scenario = Scenario().invite().receive(401, header="WWW-Authenticate", value="Digest.*qop=.auth").ack_refusal()
    Caller(tmp_path, trunk_host, scenario, f"{network.address}:{SIP}").succeed()
    assert not observe.streams(service)


def test_a_stranger_is_refused(service: Service, network: Network, host: Callable[[], Host], tmp_path: Path) -> None:
    scenario = Scenario().invite().receive(403).ack_refusal()
    Caller(tmp_path, host(), scenario, f"{network.address}:{SIP}").succeed()
    assert not observe.streams(service)
