"""What is sent to a registrar, when, and what its answers mean; every message goes over the wire's bytes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from voice_verify.telephony.agent import RegistrationState
from voice_verify.telephony.registration.faults import ErrorCode, Fault
from voice_verify.telephony.registration.machine import (
    EXPIRES_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    OPERATOR_PAUSE_S,
    Registration,
    Wait,
)
from voice_verify.telephony.sip import Request, reply

from .pbx import (
    EVENING,
    LYON,
    RIGHT,
    WRONG,
    Registrar,
    Time,
    answered,
    exchange,
    finish,
    on_the_wire,
    refuse,
    registration,
)

GONE = Fault(ErrorCode.timeout, "pbx.example.com port 5060 does not answer")


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def registrar(time: Time) -> Registrar:
    return Registrar(time)


def test_registers_with_the_password_and_refreshes_before_the_time_is_over(time: Time, registrar: Registrar) -> None:
    machine = registration(time)
    assert machine.state.state is RegistrationState.registering
    wait = exchange(machine, registrar)
    assert (machine.state.state, machine.state.since) == (RegistrationState.registered, EVENING)
    assert machine.state.until == EVENING + timedelta(seconds=EXPIRES_S)
    assert EXPIRES_S / 2 <= wait.seconds <= EXPIRES_S * 3 / 4
    time.pass_by(wait.seconds)
    exchange(machine, registrar)
    assert machine.state.since == EVENING, "a refresh is no new registration"
    assert machine.state.until == time() + timedelta(seconds=EXPIRES_S)


def test_says_who_registers_where_and_how_to_reach_him(time: Time) -> None:
    machine = registration(time, username="a b@c", host="2001:db8::7", port=5080, transport="tcp")
    request = on_the_wire(machine.begin("198.51.100.4", 5062))
    assert (request.method, request.uri) == ("REGISTER", "sip:[2001:db8::7]:5080")
    assert request.to.sip_uri.user == "a b@c"
    assert request.to.uri == request.from_.uri == "sip:a%20b%40c@[2001:db8::7]"
    assert request.contact is not None
    contact = request.contact.sip_uri
    assert (contact.user, contact.host, contact.port) == ("a b@c", "198.51.100.4", 5062)
    assert contact.parameters == {"transport": "tcp", "line": LYON.hex}


def test_all_requests_have_one_call_id_and_a_rising_number(time: Time, registrar: Registrar) -> None:
    machine = registration(time)
    for _ in range(3):
        exchange(machine, registrar)
    finish(machine, registrar, machine.begin_removal("192.0.2.9", 5060))
    assert len({request.call_id for request in registrar.seen}) == 1
    assert len({request.from_tag for request in registrar.seen}) == 1
    assert [request.cseq.number for request in registrar.seen] == list(range(1, len(registrar.seen) + 1))
    assert machine.state.state is RegistrationState.not_registered


@pytest.mark.parametrize(("account", "given"), [({"vv": WRONG}, RIGHT), ({"other": RIGHT}, RIGHT)])
def test_credentials_that_are_refused_are_not_tried_again_soon(time: Time, account: dict[str, str], given: str) -> None:
    registrar = Registrar(time, account)
    machine = registration(time, password=given)
    wait = exchange(machine, registrar)
    assert len(registrar.seen) == 2, "one challenge, one answer"
    _failed(machine, ErrorCode.wrong_password)
    assert wait.seconds == OPERATOR_PAUSE_S
    assert machine.state.last_error is not None
    assert given not in machine.state.last_error.message


def test_a_password_that_was_put_right_at_the_pbx_registers(time: Time, registrar: Registrar) -> None:
    machine = registration(time)
    exchange(machine, Registrar(time, {"vv": WRONG}))
    exchange(machine, registrar)
    assert (machine.state.state, machine.state.last_error) == (RegistrationState.registered, None)


def test_no_password_where_one_is_wanted_is_said(time: Time, registrar: Registrar) -> None:
    machine = registration(time, password=None)
    exchange(machine, registrar)
    _failed(machine, ErrorCode.wrong_password)
    assert len(registrar.seen) == 1


def test_a_pbx_that_wants_no_password_is_registered_at(time: Time) -> None:
    machine = registration(time, password=None)
    assert isinstance(refuse(machine, 200), Wait)
    assert machine.state.state is RegistrationState.registered


def test_a_stale_nonce_is_no_wrong_password(time: Time) -> None:
    registrar = Registrar(time, nonce_s=5)
    machine = registration(time)
    late = answered(machine, registrar.answer(on_the_wire(machine.begin("192.0.2.9", 5060))))
    assert isinstance(late, Request)
    time.pass_by(6)
    finish(machine, registrar, late)
    assert machine.state.state is RegistrationState.registered
    assert len(registrar.seen) == 3


def test_a_pbx_whose_nonces_are_always_stale_ends_the_attempt(time: Time) -> None:
    machine = registration(time)
    request: Request | Wait = machine.begin("192.0.2.9", 5060)
    challenge = 'Digest realm="pbx", nonce="{}", stale=true, algorithm=MD5, qop="auth"'
    asked = 0
    while isinstance(request, Request):
        asked += 1
        assert asked < 20
        read = on_the_wire(request)
        request = answered(machine, reply(read, 401, headers=[("WWW-Authenticate", challenge.format(asked))]))
    _failed(machine, ErrorCode.bad_answer)


def test_a_proxy_and_the_registrar_may_both_ask(time: Time, registrar: Registrar) -> None:
    machine = registration(time)
    request = on_the_wire(machine.begin("192.0.2.9", 5060))
    proxy = ("Proxy-Authenticate", 'Digest realm="edge", nonce="e1", algorithm=SHA-256, qop="auth"')
    again = answered(machine, reply(request, 407, headers=[proxy]))
    assert isinstance(again, Request)
    assert "algorithm=SHA-256" in (again.headers.get("Proxy-Authorization") or "")
    finish(machine, registrar, again)
    assert machine.state.state is RegistrationState.registered
    assert "Proxy-Authorization" in registrar.seen[-1].headers


def test_a_challenge_that_we_cannot_answer_is_said(time: Time) -> None:
    machine = registration(time)
    refuse(machine, 401, headers=[("WWW-Authenticate", 'Digest realm="x", nonce="1", algorithm=SHA-7')])
    _failed(machine, ErrorCode.bad_answer)


def test_the_shorter_time_of_the_pbx_holds(time: Time) -> None:
    machine = registration(time)
    wait = exchange(machine, Registrar(time, expires=60))
    assert machine.state.until == EVENING + timedelta(seconds=60)
    assert wait.seconds <= 45


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ([("Expires", "120")], 120),
        ([("Contact", "<sip:vv@10.0.0.9:31000>;expires=90")], 90),
        ([("Contact", f"<sip:other@10.0.0.8>;expires=7, <sip:vv@192.0.2.9:5060;line={LYON.hex}>;expires=80")], 80),
        # Another user of the same address whose telephone cannot write.
        ([("Contact", f"<sip:x@10.0.0.8;;ob>;expires=7, <sip:vv@192.0.2.9:5060;line={LYON.hex}>;expires=80")], 80),
        ([("Contact", f"<sip:vv@192.0.2.9:5060;line={LYON.hex}>"), ("Expires", "70")], 70),
        ([("Contact", f"<sip:vv@192.0.2.9:5060;line={LYON.hex}>;expires=nonsense")], EXPIRES_S),
        ([("Contact", f"<sip:vv@192.0.2.9:5060;line={LYON.hex}>;expires=4294967296")], EXPIRES_S),
        ([], EXPIRES_S),
    ],
)
def test_reads_how_long_the_registration_holds(time: Time, headers: list[tuple[str, str]], granted: int) -> None:
    machine = registration(time)
    refuse(machine, 200, headers=headers)
    assert machine.state.until == EVENING + timedelta(seconds=granted)


def test_a_registration_for_no_time_is_none(time: Time) -> None:
    machine = registration(time)
    refuse(machine, 200, headers=[("Expires", "0")])
    _failed(machine, ErrorCode.bad_answer)


def test_a_longer_time_that_the_pbx_demands_is_given_and_kept(time: Time, registrar: Registrar) -> None:
    machine = registration(time)
    request = refuse(machine, 423, headers=[("Min-Expires", "1800")])
    assert isinstance(request, Request)
    finish(machine, registrar, request)
    assert machine.state.until == EVENING + timedelta(seconds=1800)
    assert on_the_wire(machine.begin("192.0.2.9", 5060)).headers.get("Expires") == "1800"


@pytest.mark.parametrize("demanded", ["99999999", "1", "soon", None])
def test_an_impossible_demand_is_said(time: Time, demanded: str | None) -> None:
    machine = registration(time)
    refuse(machine, 423, headers=[] if demanded is None else [("Min-Expires", demanded)])
    _failed(machine, ErrorCode.interval_too_brief)


def test_a_demand_that_grows_again_is_given_up(time: Time) -> None:
    machine = registration(time)
    request = refuse(machine, 423, headers=[("Min-Expires", "600")])
    assert isinstance(request, Request)
    answered(machine, reply(on_the_wire(request), 423, headers=[("Min-Expires", "1200")]))
    _failed(machine, ErrorCode.interval_too_brief)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (302, ErrorCode.redirected),
        (400, ErrorCode.refused),
        (403, ErrorCode.forbidden),
        (404, ErrorCode.unknown_user),
        (408, ErrorCode.timeout),
        (488, ErrorCode.refused),
        (500, ErrorCode.pbx_error),
        (503, ErrorCode.pbx_error),
        (603, ErrorCode.pbx_error),
    ],
)
def test_refusals_have_a_meaning(time: Time, status: int, code: ErrorCode) -> None:
    machine = registration(time)
    refuse(machine, status, headers=[("Contact", "<sip:elsewhere.example.com>")])
    _failed(machine, code)
    assert machine.state.last_error is not None
    assert str(status) in machine.state.last_error.message


def test_what_a_pbx_says_is_shortened_and_made_printable(time: Time) -> None:
    machine = registration(time)
    refuse(machine, 500, "no\x07 \x1b[31m" + "x" * 5000)
    assert machine.state.last_error is not None
    assert machine.state.last_error.message.isprintable()
    assert len(machine.state.last_error.message) < 200


def test_retry_after_is_honoured_within_reason(time: Time) -> None:
    for value, pause in (("90", 90.0), ("18000 (maintenance);duration=3600", 3600.0), ("never", FIRST_PAUSE_S)):
        assert refuse(registration(time), 503, headers=[("Retry-After", value)]) == Wait(pause)


def test_an_outage_is_asked_about_ever_more_slowly_but_for_ever(time: Time, registrar: Registrar) -> None:
    machine = registration(time)
    exchange(machine, registrar)
    pauses = []
    for _ in range(2000):
        machine.begin("192.0.2.9", 5060)
        pauses.append(machine.failed(GONE).seconds)
    assert pauses[:7] == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0]
    assert set(pauses[6:]) == {LONGEST_PAUSE_S}
    _failed(machine, ErrorCode.timeout)
    exchange(machine, registrar)
    assert (machine.state.state, machine.state.last_error) == (RegistrationState.registered, None)
    time.pass_by(60)
    assert machine.failed(GONE).seconds == FIRST_PAUSE_S


def test_pauses_have_jitter_downwards(time: Time) -> None:
    drawn: list[tuple[float, float]] = []

    def draw(least: float, most: float) -> float:
        drawn.append((least, most))
        return least

    machine = registration(time)
    machine.uniform = draw
    assert machine.failed(GONE).seconds == 0.75 * FIRST_PAUSE_S
    exchange(machine, Registrar(time, expires=100))
    assert drawn == [(1.5, 2.0), (50.0, 75.0)]


def test_a_lost_connection_is_made_again_at_once(time: Time, registrar: Registrar) -> None:
    machine = registration(time)
    exchange(machine, registrar)
    time.pass_by(60)
    assert machine.lost(Fault(ErrorCode.connection_lost, "closed")).seconds <= 1
    assert machine.state.state is RegistrationState.registering
    assert machine.state.until is None
    assert machine.state.last_error is not None


def test_a_pbx_that_closes_right_after_registering_is_not_asked_in_a_loop(time: Time, registrar: Registrar) -> None:
    machine = registration(time)
    pauses = []
    for _ in range(4):
        exchange(machine, registrar)
        pauses.append(machine.lost(Fault(ErrorCode.connection_lost, "closed")).seconds)
    assert pauses == [2.0, 4.0, 8.0, 16.0]


def test_an_answer_to_nothing_is_a_fault_and_no_crash(time: Time, registrar: Registrar) -> None:
    machine = registration(time)
    response = registrar.answer(on_the_wire(machine.begin("192.0.2.9", 5060)))
    machine.failed(GONE)
    answered(machine, response)
    _failed(machine, ErrorCode.bad_answer)


def test_the_password_is_in_no_repr(time: Time, registrar: Registrar) -> None:
    machine = registration(time)
    assert RIGHT not in repr(machine)
    exchange(machine, registrar)
    assert RIGHT not in repr(machine)
    assert all(RIGHT.encode() not in request.encode() for request in registrar.seen)


def _failed(machine: Registration, code: ErrorCode) -> None:
    state = machine.state
    assert (state.state, state.until) == (RegistrationState.failed, None)
    assert state.last_error is not None
    assert (state.last_error.code, state.last_error.at) == (code, machine.now())
