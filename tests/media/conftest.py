from __future__ import annotations

import itertools
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.contract import licences, speech
from tests.contract.conftest import model_dir
from tests.contract.running import Service, until

from . import pcap
from .baresip import Phone
from .certificates import Authority
from .kamailio import Kamailio
from .network import Host, Network, NoNamespacesError
from .scenario import Scenario
from .sipp import Caller

__all__ = ["model_dir"]

LICENCE = licences.licence(features=["websocket", "sip", "siprec"])
SIP, SIPS = 5060, 5061
# The service in its own certificate, and in the documentation.
NAME = "voiceverify.example.com"
# A caller who vanished is noticed after so long.
IDLE_S = 5
PHONE, OTHER_PHONE, EXTENSION = "1000", "1001", "2000"
USERS = {PHONE: "of-the-phone", OTHER_PHONE: "of-the-other", EXTENSION: "of-the-extension"}

# Of a phone; sipp's captures are as long as a test needs.
SAID_S = 20

MakeCall = Callable[..., Caller]
StartTelephony = Callable[..., Service]
StartPhone = Callable[..., Phone]


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    try:
        made = Network()
    except NoNamespacesError as error:
        pytest.fail(str(error), pytrace=False)
    with made:
        yield made


@pytest.fixture(scope="session")
def host(network: Network) -> Callable[[], Host]:
    """Makes a host that nobody uses yet."""
    numbers = itertools.count()
    return lambda: network.host(f"host{next(numbers)}")


@pytest.fixture(scope="session")
def caller(host: Callable[[], Host]) -> Host:
    """Where sipp runs."""
    return host()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a capture of a voice: so many seconds, as A-law unless told otherwise."""
    folder = tmp_path_factory.mktemp("captures")

    def capture(
        who: str, seconds: float = 12, *, payload: pcap.Payload = pcap.Payload.PCMA, prompts: str = speech.TEST
    ) -> Path:
        file = folder / f"{who}-{seconds}-{payload.name}-{prompts.partition('*')[0]}.pcap"
        return file if file.exists() else pcap.write(file, speech.samples(who, prompts, seconds), payload)

    return capture


@pytest.fixture(scope="session")
def start(network: Network, authority: Authority, model_dir: Path) -> Callable[..., Service]:
    """Starts a service that takes calls at the network's address, once the one before it was stopped."""

    def start(folder: Path, **settings: Any) -> Service:
        certificate, key = authority.issue(network.address, NAME)
        running = Service(
            folder,
            model_dir,
            f"sqlite:///{folder}/calls.db",
            licence=LICENCE,
            stream_idle_s=IDLE_S,
            sip_host=network.address,
            sip_tls_port=SIPS,
            sip_tls_certificate=certificate,
            sip_tls_key=key,
            sip_ca_file=authority.certificate,
            **settings,
        )
        running.prepare("integrator", "operator", "viewer")
        running.start()
        with running.client("") as client:
            until(lambda: client.get("/health/ready").status_code == 200)
        return running

    return start


@pytest.fixture(scope="module")
def service(start: StartTelephony, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that takes calls, with one speaker enrolled."""
    running = start(tmp_path_factory.mktemp("service"))
    answer = running.enrol(speech.ANNA, speech.wav(speech.samples(speech.ANNA, speech.ENROLMENT, 30)))
    assert answer.status_code == 200, answer.text
    yield running
    assert running.stop() == -signal.SIGTERM, running.log


@pytest.fixture
def call(service: Service, network: Network, caller: Host, tmp_path: Path) -> Iterator[MakeCall]:
    """Makes a call with sipp to the service, or to `target`."""
    numbers = itertools.count()
    made: list[Caller] = []

    def call(scenario: Scenario, *, target: str = f"{network.address}:{SIP}", **options: object) -> Caller:
        made.append(Caller(tmp_path / f"sipp{next(numbers)}", caller, scenario, target, **options))  # type: ignore[arg-type]
        return made[-1]

    yield call
    for each in made:
        if each.running():
            each.kill()


@pytest.fixture(scope="module")
def pbx(host: Callable[[], Host], authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    """A PBX with USERS, reached by UDP, TCP and TLS."""
    place = host()
    # Short: the path of a socket has at most 107 bytes.
    running = Kamailio(tmp_path_factory.mktemp("pbx"), USERS, host=place, certificate=authority.issue(place.address))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def phone(host: Callable[[], Host], authority: Authority, tmp_path: Path) -> Iterator[StartPhone]:
    """Starts a phone at an account of baresip's, with the voice of a speaker, on a host of its own or `on` that one."""
    started: list[Phone] = []

    def start(account: str, who: str = speech.ANNA, *, on: Host | None = None) -> Phone:
        said = speech.samples(who, speech.TEST, SAID_S)
        folder = tmp_path / f"phone{len(started)}"
        started.append(Phone(folder, on or host(), said, account=account, authority=authority.certificate))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture(params=["udp", "tcp"])
def transport(request: pytest.FixtureRequest) -> str:
    """What sipp speaks; baresip speaks TLS."""
    return str(request.param)


@pytest.fixture
def uuid() -> str:
    """For the stream of a call."""
    return str(uuid4())
