"""A PBX's registrar at the other end of the state machine: bytes in, bytes out, no socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from voice_verify.telephony.agent import PbxInstance
from voice_verify.telephony.registration.machine import Registration, Wait
from voice_verify.telephony.sip import Request, Response, parse, reply
from voice_verify.telephony.sip.digest import Accepted, Challenged, Challenger

LYON = UUID("b5b0a1c8-7e0c-4c0f-8f57-6d1f4f0f5a10")
RIGHT, WRONG = "correct horse", "battery staple"
EVENING = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


@dataclass
class Time:
    """What the state machine takes for the wall clock."""

    moment: datetime = EVENING

    def __call__(self) -> datetime:
        return self.moment

    def pass_by(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def instance(**changed: object) -> PbxInstance:
    values: dict[str, object] = {
        "uuid": LYON,
        "name": "Branch Lyon",
        "host": "pbx.example.com",
        "port": 5060,
        "transport": "udp",
        "username": "vv",
        "password": RIGHT,
    }
    return PbxInstance(**(values | changed))  # type: ignore[arg-type]


def longest(_: float, most: float) -> float:
    """Jitter that is none."""
    return most


def registration(time: Time, **changed: object) -> Registration:
    return Registration(instance(**changed), time, longest)


@dataclass
class Registrar:
    """Registers those who know the password, for the time that it is made with; `contact` is what it says instead."""

    time: Callable[[], datetime]
    accounts: Mapping[str, str] = field(default_factory=lambda: {"vv": RIGHT})
    expires: int | None = None
    nonce_s: int = 300
    seen: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._challenger = Challenger(
            "pbx.example.com", self.accounts, clock=lambda: self.time().timestamp(), nonce_s=self.nonce_s
        )

    def answer(self, request: Request) -> Response:
        self.seen.append(request)
        match self._challenger.check(request):
            case Challenged(status=status, headers=headers):
                return reply(request, status, headers=headers)
            case Accepted():
                return self.accept(request)

    def accept(self, request: Request) -> Response:
        asked = request.headers.get("Expires")
        expires = asked if self.expires is None or asked == "0" else self.expires
        return reply(request, 200, headers=[("Contact", f"{request.headers.get('Contact')};expires={expires}")])


def on_the_wire(request: Request) -> Request:
    """What the registrar reads of a request that the transaction layer has sent."""
    request.headers.insert("Via", f"SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK{request.cseq.number}")
    request.headers.add("Max-Forwards", "70")
    read = parse(request.encode())
    assert isinstance(read, Request)
    return read


def answered(machine: Registration, response: Response) -> Request | Wait:
    """What the machine makes of a response that came over the wire."""
    read = parse(response.encode())
    assert isinstance(read, Response)
    return machine.answered(read)


def exchange(machine: Registration, registrar: Registrar) -> Wait:
    """A whole attempt."""
    return finish(machine, registrar, machine.begin("192.0.2.9", 5060))


def finish(machine: Registration, registrar: Registrar, step: Request | Wait) -> Wait:
    while isinstance(step, Request):
        step = answered(machine, registrar.answer(on_the_wire(step)))
    return step


def refuse(
    machine: Registration, status: int, reason: str | None = None, headers: Iterable[tuple[str, str]] = ()
) -> Request | Wait:
    """An attempt that is answered at once, without a challenge."""
    request = on_the_wire(machine.begin("192.0.2.9", 5060))
    return answered(machine, reply(request, status, reason, headers=headers))
