"""All instances together: what is not a matter of a registrar."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from voice_verify.telephony.agent import AgentError, Counters, PbxState, RegistrationState, TelephonyConfig
from voice_verify.telephony.registration import Registrations
from voice_verify.telephony.sip import Endpoint, Sip, Transport, Transports

from .pbx import LYON, instance

CONFIG = TelephonyConfig(
    host="127.0.0.1",
    port=5060,
    tls_port=None,
    tls_certificate=None,
    tls_key=None,
    ca_file=None,
    advertised="",
    public_port=5060,
    public_tls_port=None,
    edge="",
    peers=(),
    accounts={},
    rtp_host="127.0.0.1",
    rtp_first=20000,
    rtp_last=20350,
    pbx=(),
)


class Told:
    """The service, as far as registrations know it."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.states: list[list[PbxState]] = []

    def registered(self, states: Any) -> None:
        self.states.append(list(states))

    async def open(self, call: Any, ended: Any) -> Any:
        raise NotImplementedError


def registrations(config: TelephonyConfig, told: Told) -> tuple[Registrations, Transports]:
    transports = Transports()
    sip = Sip(transports, user_agent="test", on_request=lambda _: None, on_ack=lambda *_: None)
    return Registrations(sip, transports, config, told), transports


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authorities_that_cannot_be_read_are_refused_at_the_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(AgentError, match=r"authorities\.pem"):
        registrations(replace(CONFIG, ca_file=file), Told())


def test_an_instance_without_a_user_is_told_once_and_not_registered() -> None:
    async def work() -> None:
        told = Told()
        ours, _ = registrations(CONFIG, told)
        trunk = instance(username=None, password=None)
        ours.configure([trunk])
        ours.configure([trunk])
        assert told.states == [[PbxState(LYON, RegistrationState.not_registered, None, None, None)]]
        await ours.stop()

    asyncio.run(work())


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "sip:vv@192.0.2.9",
        "sip:vv@192.0.2.9;line=x",
        "sip:vv@192.0.2.9;line=5960a2967554449db910719737740225",
        "tel:+331",
        "sip:\x00@",
    ],
)
def test_a_call_to_anything_but_our_contact_is_of_no_instance(uri: str) -> None:
    async def work() -> None:
        ours, transports = registrations(CONFIG, Told())
        # Nothing is there: it is busy with its first attempt.
        ours.configure([instance(host="127.0.0.1", transport="tcp", port=9)])
        assert ours.instance_of(f"sip:vv@192.0.2.9:5060;transport=tcp;line={LYON.hex}") == LYON
        assert ours.instance_of(uri) is None
        await ours.stop()
        await transports.close()

    asyncio.run(work())


def test_behind_an_edge_registrations_do_not_leave_from_the_loopback() -> None:
    async def work() -> None:
        _, transports = registrations(CONFIG, Told())
        inside = await transports.listen_udp("127.0.0.1", 0)
        outwards = await transports.connect(Endpoint(Transport.UDP, "192.0.2.1", 5060))
        assert outwards.local.port != inside.port
        assert (await transports.connect(Endpoint(Transport.UDP, "127.0.0.2", 5060))).local == inside
        await transports.close()

    asyncio.run(work())
