"""The peers themselves, without the service: a test that fails for their sake should fail here first."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract import speech
from tests.contract.running import until

from . import pcap
from .conftest import OTHER_PHONE, PHONE, SIP, SIPS, USERS, StartPhone
from .kamailio import Kamailio
from .network import LINKS, NAMESPACES, Host, Network
from .scenario import Scenario
from .sipp import Caller

# IPv4 and UDP.
HEADERS = 20 + 8
RTP_HEADER = 12


@pytest.fixture
def answering(host: Callable[[], Host], tmp_path: Path) -> Iterator[Host]:
    """A host where sipp answers calls."""
    place = host()
    command = ["sipp", "-sn", "uas", "-i", place.address, "-p", str(SIP), "-mi", place.address, "-nostdin"]
    running = place.popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path)
    yield place
    running.kill()
    running.wait()


def test_a_host_has_an_address_of_its_own(network: Network, host: Callable[[], Host]) -> None:
    here, there = host(), host()
    with here.socket() as sending, there.socket() as receiving:
        receiving.settimeout(5)
        sending.sendto(b"hello", receiving.getsockname())
        assert receiving.recvfrom(100) == (b"hello", sending.getsockname())
        assert receiving.getsockname()[0] == there.address != network.address


def test_this_machine_keeps_its_address_whoever_joins(network: Network, host: Callable[[], Host]) -> None:
    link = LINKS / f"vv{network.address.split('.')[2]}" / "address"
    before = link.read_text()
    # An address that was made up at random is lower than another one in half of the cases.
    for _ in range(10):
        host()
        assert link.read_text() == before


def test_nothing_of_a_network_is_left_behind(tmp_path: Path) -> None:
    with Network() as passing:
        place = passing.host("left")
        sleeping = place.popen(["sleep", "600"])
        link = f"vv{passing.address.split('.')[2]}"
        assert (LINKS / link).exists()
        until(lambda: Path(f"/proc/{sleeping.pid}/comm").read_text() == "sleep\n")
    assert sleeping.wait(timeout=10) != 0
    assert not (NAMESPACES / place.namespace).exists()
    assert not (LINKS / link).exists()


def test_a_network_that_crashed_is_removed_by_the_next() -> None:
    script = (
        "import os; from tests.media.network import Network; network = Network(); network.host('lost');"
        "print(network.address, flush=True); os.kill(os.getpid(), 9)"
    )
    crashed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    lost = NAMESPACES / f"vv{crashed.stdout.split('.')[2]}-lost"
    assert lost.exists()
    with Network():
        assert not lost.exists()


def test_sipp_plays_speech_as_rtp_at_its_pace(
    answering: Host, caller: Host, voice: Callable[..., Path], tmp_path: Path
) -> None:
    # Sees all datagrams that come to the host; the port in sipp's answer is sipp's own.
    listening = answering.socket(socket.SOCK_RAW, protocol=socket.IPPROTO_UDP)
    listening.settimeout(5)
    scenario = Scenario().invite().receive(200).ack().play(voice(speech.ANNA, 1)).pause(1.2).bye()
    Caller(tmp_path, caller, scenario, f"{answering.address}:{SIP}").succeed()
    received: list[bytes] = []
    while len(received) < 50:
        datagram = listening.recv(2000)[HEADERS:]
        received += [datagram] if len(datagram) == RTP_HEADER + pcap.PACKET else []
    listening.close()
    audio = pcap.g711(speech.samples(speech.ANNA, speech.TEST, 1), pcap.Payload.PCMA)
    assert b"".join(packet[RTP_HEADER:] for packet in received) == audio
    assert {packet[1] & 0x7F for packet in received} == {pcap.Payload.PCMA}


@pytest.mark.parametrize(
    ("transport", "port", "media"),
    [
        ("udp", SIP, "audio_codecs=pcma"),
        ("tcp", SIP, "audio_codecs=g722/16000/1"),
        ("tls", SIPS, "audio_codecs=opus/48000/2;mediaenc=srtp"),
    ],
)
def test_a_phone_calls_another_through_the_pbx(
    phone: StartPhone, pbx: Kamailio, *, transport: str, port: int, media: str
) -> None:
    answering = phone(f"<sip:{OTHER_PHONE}@{pbx.address}>;auth_pass={USERS[OTHER_PHONE]};answermode=auto;{media}")
    calling = phone(f"<sip:{PHONE}@{pbx.address}:{port};transport={transport}>;auth_pass={USERS[PHONE]};{media}")
    until(lambda: bool(pbx.contacts(OTHER_PHONE)))
    calling.call(f"sip:{OTHER_PHONE}@{pbx.address}:{port}")
    calling.hang_up()
    until(lambda: "session closed" in answering.output())
    for each in (calling, answering):
        each.stop()
    until(lambda: not pbx.contacts(OTHER_PHONE) and not pbx.contacts(PHONE))


def test_the_pbx_knows_its_users(phone: StartPhone, pbx: Kamailio) -> None:
    stranger = phone(f"<sip:{PHONE}@{pbx.address}>;auth_pass=wrong")
    # Once without and once with the wrong password.
    until(lambda: stranger.output().count("SIP/2.0 401") > 1)
    assert not pbx.contacts(PHONE)
