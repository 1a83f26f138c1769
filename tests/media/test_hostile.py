"""Attacks that take many addresses, or peers that are really gone: calls that run go on, and nothing of it stays.

What one address can send is in tests/contract/calls/test_hostile.py.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.contract import speech
from tests.contract.running import Service, until

from . import observe, raw
from .conftest import SIP, SIPS, MakeCall
from .network import Host, Network
from .raw import Peer
from .scenario import Scenario
from .sipp import Caller

COUNTED = "voice_verify_telephony_"
AGENT = "voice_verify.telephony"
# From each of the 256 addresses of a network; more calls than there are ports.
CALLS_EACH, CONNECTIONS_EACH = 5, 2
CALL_S = 5
# A call without an ACK ends after 32 s, a connection to nobody 30 s after the BYE.
FORGOTTEN_S, END_S = 34, 60.0


@dataclass(frozen=True)
class Before:
    """What the telephony process had before anything came."""

    pid: int
    files: int
    ports: float


@pytest.fixture(scope="module")
def before(service: Service) -> Before:
    pid = service.child(AGENT)
    assert pid is not None
    ports = observe.metrics(service)[f"{COUNTED}rtp_ports_free"]
    return Before(pid, files(pid), ports)


@pytest.fixture(scope="module", autouse=True)
def forgotten(
    service: Service,
    before: Before,
    network: Network,
    host: Callable[[], Host],
    voice: Callable[..., Path],
    *,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Caller]]:
    """Two calls, by uuid of the stream, that run during the attacks: one is never acknowledged, one loses its cable."""
    said = voice(speech.ANNA, FORGOTTEN_S, prompts=speech.ENROLMENT)
    target = f"{network.address}:{SIP}"
    never, gone = str(uuid4()), str(uuid4())
    places = {never: host(), gone: host()}
    scenarios = {
        never: Scenario(uuid=never).invite().receive(200).play(said).receive_request("BYE"),
        gone: Scenario(uuid=gone).invite().receive(200).ack().play(said).pause(FORGOTTEN_S).bye(),
    }
    callers = {
        uuid: Caller(
            tmp_path_factory.mktemp("forgotten"),
            places[uuid],
            scenario,
            target,
            transport="tcp" if uuid == gone else "udp",
        )
        for uuid, scenario in scenarios.items()
    }
    for uuid in callers:
        observe.wait_for(service, uuid)
    until(lambda: "ACK sip:" in callers[gone].messages())
    places[gone].unplug()
    yield callers
    for caller in callers.values():
        if caller.running():
            caller.kill()


@pytest.fixture(scope="module")
def enemies(host: Callable[[], Host]) -> tuple[Host, list[str]]:
    """A host and the addresses of the network behind it."""
    place = host()
    return place, place.network_behind()


@pytest.fixture
def running(service: Service, call: MakeCall, voice: Callable[..., Path], uuid: str) -> Iterator[None]:
    """An honest call over TCP, which has to be heard whole."""
    said = voice(speech.ANNA, CALL_S)
    caller = call(Scenario(uuid=uuid).invite().receive(200).ack().play(said).pause(CALL_S + 0.2).bye(), transport="tcp")
    observe.wait_for(service, uuid)
    yield
    caller.succeed()
    ended = observe.report(service, uuid)
    assert ended["end_reason"] == "client_closed"
    assert ended["audio_s"] == pytest.approx(CALL_S, abs=0.1)


def files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def counted(service: Service, name: str) -> float:
    """Over all kinds."""
    return sum(value for key, value in observe.metrics(service).items() if key.startswith(f"{COUNTED}{name}_total"))


@pytest.mark.usefixtures("running")
def test_a_flood_of_calls_from_everywhere_leaves_running_calls_alone(
    service: Service, network: Network, enemies: tuple[Host, list[str]]
) -> None:
    place, addresses = enemies
    for address in addresses:
        with place.socket(address=address) as own:
            for _ in range(CALLS_EACH):
                peer = Peer(network.address, *own.getsockname())
                own.sendto(peer.request("INVITE", raw.branch()), (network.address, SIP))
    until(lambda: counted(service, "refusals") > 0)


def test_who_calls_after_the_flood_is_served(service: Service, forgotten: dict[str, Caller], call: MakeCall) -> None:
    until(lambda: observe.streams(service).keys() <= forgotten.keys(), END_S)
    call(Scenario().invite().receive(200).ack().bye()).succeed()


@pytest.mark.usefixtures("running")
def test_half_open_connections_from_everywhere_leave_others_alone(
    service: Service, network: Network, enemies: tuple[Host, list[str]], call: MakeCall
) -> None:
    place, addresses = enemies
    with ExitStack() as connections:
        for number, address in enumerate(addresses * CONNECTIONS_EACH):
            own = connections.enter_context(closing(place.socket(socket.SOCK_STREAM, address=address)))
            port = (SIP, SIPS)[number % 2]
            own.connect((network.address, port))
            # No TLS handshake on the other port.
            if port == SIP:
                own.sendall(b"INVITE sip:voice@example.com SIP/2.0\r\nVia: ")
        call(Scenario().invite().receive(200).ack().bye(), transport="tcp").succeed()
        # None of them by its own doing. What is left is one honest call, and the one that lost its cable.
        until(lambda: counted(service, "sip_connections_dropped") >= len(addresses) * CONNECTIONS_EACH, END_S)
        assert observe.metrics(service)[f"{COUNTED}sip_connections"] <= 2


def test_nothing_stays(service: Service, before: Before, forgotten: dict[str, Caller]) -> None:
    until(lambda: not observe.streams(service), END_S)
    for uuid in forgotten:
        assert observe.report(service, uuid)["end_reason"] != "client_closed"
    for gauge, left in (("calls", 0), ("sip_connections", 0), ("rtp_ports_free", before.ports)):
        until(lambda gauge=gauge, left=left: observe.metrics(service)[f"{COUNTED}{gauge}"] == left, END_S)  # type: ignore[misc]
    assert service.child(AGENT) == before.pid
    assert files(before.pid) == before.files
    figures = observe.metrics(service)
    assert figures[f"{COUNTED}call_ends_total{{no_ack}}"] == 1
    assert counted(service, "sip_internal_errors") == 0
    assert "Traceback" not in service.log
