"""The service with calls of a real Asterisk: its configuration comes out of docs/integrations."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.contract import speech
from tests.contract.conftest import model_dir
from tests.contract.running import Service
from tests.media.certificates import Authority
from tests.media.conftest import NAME, StartPhone, authority, host, network, phone, start
from tests.media.network import Host, Network

from . import documented
from .calls import AGENT, CUSTOMER, Calls
from .documented import Section
from .front import front
from .program import Asterisk
from .rootfs import Root

__all__ = ["authority", "host", "model_dir", "network", "phone", "start"]

VERSION = pytest.StashKey[str]()

StartAsterisk = Callable[..., Asterisk]


@pytest.fixture(scope="session")
def asterisk_root(root: Path, pytestconfig: pytest.Config) -> Root:
    made = Root(root / "build" / "cache")
    pytestconfig.stash[VERSION] = made.version
    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    # sid moves: what passed is worth nothing without it.
    if VERSION in config.stash:
        terminalreporter.write_line(f"run against: {config.stash[VERSION]}")


@pytest.fixture(scope="session")
def service(
    start: Callable[..., Service],
    asterisk_root: Root,
    network: Network,
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """A service with both speakers enrolled that is reached in every way, behind the appliance's nginx."""
    running = start(
        tmp_path_factory.mktemp("service"), audiosocket_host=network.address, audiosocket_peers=network.subnet
    )
    for who in (CUSTOMER, AGENT):
        answer = running.enrol(who, speech.wav(speech.samples(who, speech.ENROLMENT, 30)))
        assert answer.status_code == 200, answer.text
    with front(
        tmp_path_factory.mktemp("front"),
        asterisk_root,
        address=network.address,
        service_port=running.port,
        authority=authority.certificate,
        certificate=authority.issue(NAME),
    ):
        yield running
    assert running.stop() == -signal.SIGTERM, running.log


@pytest.fixture
def asterisk(  # noqa: PLR0917
    service: Service,
    asterisk_root: Root,
    network: Network,
    host: Callable[[], Host],
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StartAsterisk]:
    """Starts an Asterisk with sections of pages of ours; `words` are put in the place of others, `others` are files."""
    with ExitStack() as running:

        def start(
            *sections: Section, words: Mapping[str, str] | None = None, others: Mapping[str, str] | None = None
        ) -> Asterisk:
            made = Asterisk(
                tmp_path_factory.mktemp("asterisk"),
                asterisk_root,
                host(),
                service=network.address,
                authority=authority,
                added={**documented.files(*sections, words=words or {}), **(others or {})},
            )
            running.callback(made.stop)
            made.start()
            return made

        yield start


@pytest.fixture
def calls(service: Service, phone: StartPhone) -> Calls:
    return Calls(service, phone)
