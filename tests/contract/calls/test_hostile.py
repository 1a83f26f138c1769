"""What strangers send to the port of the real service: it stays up, answers others meanwhile, and leaks nothing."""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from tests.contract.running import Service, until
from tests.unit.telephony.sip.test_fuzz import CORPUS, mutate
from tests.unit.telephony.sip.torture import messages

from .caller import Caller
from .test_calls import nothing_runs, started

AGENT = "voice_verify.telephony"
# Calls of garbage are never acknowledged, and end 32 s later.
UNACKNOWLEDGED_S = 60.0


@pytest.fixture(scope="module")
def service(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = started(tmp_path_factory.mktemp("hostile"), model_dir)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def same_process(service: Service) -> Iterator[None]:
    """The process that is there in the end is that of the beginning, and holds no port and no stream."""
    before, ports = service.child(AGENT), gauge(service, "rtp_ports_free")
    yield
    assert before is not None
    assert ports > 0
    assert service.child(AGENT) == before
    until(lambda: nothing_runs(service), UNACKNOWLEDGED_S)
    until(lambda: gauge(service, "rtp_ports_free") == ports, UNACKNOWLEDGED_S)
    assert gauge(service, "sip_internal_errors") == 0
    assert "Traceback" not in service.log


def gauge(service: Service, name: str) -> float:
    """The sum of what is counted under that name."""
    with service.client("") as client:
        text = client.get("/metrics").text
    return sum(float(value) for value in re.findall(rf"^\w*{name}(?:_total)?(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def address(service: Service) -> tuple[str, int]:
    return "127.0.0.1", int(service.environment["VV_SIP_PORT"])


def call(service: Service) -> None:
    """Whoever calls now is served."""
    with closing(Caller(address(service)[1])) as phone:
        assert phone.invite().status == 200
        assert phone.bye().status == 200


@pytest.mark.usefixtures("same_process")
def test_survives_the_torture_messages(service: Service) -> None:
    with ExitStack() as sockets:
        datagrams = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        for data in (messages("rfc4475") | messages("rfc5118")).values():
            datagrams.sendto(data, address(service))
            connection = sockets.enter_context(socket.create_connection(address(service)))
            connection.sendall(data)
        call(service)
    until(lambda: gauge(service, "sip_bad_messages") >= 20)


@pytest.mark.usefixtures("same_process")
def test_survives_garbage(service: Service) -> None:
    chance = random.Random(3)  # noqa: S311 - the same garbage each time
    before = gauge(service, "sip_bad_messages")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        for number in range(3000):
            datagrams.sendto(mutate(chance.choice(CORPUS), chance)[:65_000], address(service))
            if number % 100 == 0:
                call(service)
    until(lambda: gauge(service, "sip_bad_messages") > before + 500)


@pytest.mark.usefixtures("same_process")
def test_survives_those_who_connect_and_say_nothing(service: Service) -> None:
    before = gauge(service, "sip_connections_refused")
    with ExitStack() as sockets:
        silent = [sockets.enter_context(socket.create_connection(address(service))) for _ in range(100)]
        until(lambda: gauge(service, "sip_connections_refused") >= before + 30)
        call(service)
        for connection in silent:
            connection.settimeout(UNACKNOWLEDGED_S)
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    until(lambda: gauge(service, "sip_connections") == 0)
