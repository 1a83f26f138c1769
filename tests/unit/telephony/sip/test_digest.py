"""Digest of both sides: the examples of the RFCs, and what a challenger refuses."""

# ruff: noqa: S106 - passwords of the RFCs
from __future__ import annotations

import pytest

from tests.unit.telephony.sip.conftest import Counts, request
from voice_verify.telephony.sip import NoUsableChallenge, Request, Response, reply
from voice_verify.telephony.sip.digest import Accepted, Challenged, Challenger, Login
from voice_verify.telephony.sip.digest.algorithms import response as proof

ACCOUNTS = {"alice": 'a "quoted" secret', "bob": "other"}


class Time:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def challenger(time: Time, counts: Counts) -> Challenger:
    return Challenger("calls", ACCOUNTS, clock=time, count=counts)


def challenge(challenger: Challenger, message: Request) -> Response:
    verdict = challenger.check(message)
    assert isinstance(verdict, Challenged)
    return reply(message, verdict.status, headers=verdict.headers)


def reason(challenger: Challenger, message: Request) -> str:
    verdict = challenger.check(message)
    assert isinstance(verdict, Challenged)
    return verdict.reason


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_computes_the_example_of_rfc_7616(algorithm: str, expected: str) -> None:
    assert expected == proof(
        algorithm,
        username="Mufasa",
        realm="http-auth@example.org",
        password="Circle of Life",
        method="GET",
        uri="/dir/index.html",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        counter="00000001",
        client_nonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )


def test_computes_the_example_of_rfc_2069() -> None:
    assert (
        proof(
            "MD5",
            username="Mufasa",
            realm="testrealm@host.com",
            password="CircleOfLife",
            method="GET",
            uri="/dir/index.html",
            nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",
        )
        == "1949323746fe6a43ef61f9606e7febea"
    )


@pytest.mark.parametrize("username", ACCOUNTS)
def test_accepts_an_account(challenger: Challenger, username: str) -> None:
    message = request()
    Login(username, ACCOUNTS[username]).answer(challenge(challenger, message), message)
    assert challenger.check(message) == Accepted(username)


def test_asks_for_md5_alone(challenger: Challenger) -> None:
    asked = challenge(challenger, request()).headers.all("WWW-Authenticate")
    assert len(asked) == 1
    assert "algorithm=MD5" in asked[0]


def test_answers_the_first_challenge_that_it_knows() -> None:
    message = request("REGISTER")
    offered = [
        ("WWW-Authenticate", f'Digest realm="a", nonce="1", qop="auth", algorithm={algorithm}')
        for algorithm in ("SHA-512-256", "SHA-256", "MD5")
    ]
    Login("u", "p").answer(reply(message, 401, headers=offered), message)
    assert "algorithm=SHA-256" in (message.headers.get("Authorization") or "")


def test_goes_on_with_the_same_nonce(challenger: Challenger) -> None:
    message = request()
    login = Login("bob", "other")
    login.answer(challenge(challenger, message), message)
    assert challenger.check(message) == Accepted("bob")
    bye = request("BYE")
    login.prepare(bye)
    assert "nc=00000002" in (bye.headers.get("Authorization") or "")
    assert challenger.check(bye) == Accepted("bob")


def test_refuses_a_proof_that_comes_again(challenger: Challenger) -> None:
    message = request()
    Login("bob", "other").answer(challenge(challenger, message), message)
    challenger.check(message)
    assert reason(challenger, message) == "replayed"


def test_refuses_a_proof_for_another_method(challenger: Challenger) -> None:
    message = request()
    Login("bob", "other").answer(challenge(challenger, message), message)
    bye = request("BYE")
    bye.headers.set("Authorization", message.headers.get("Authorization") or "")
    assert reason(challenger, bye) == "wrong"


@pytest.mark.parametrize(("username", "password"), [("bob", "wrong"), ("stranger", ""), ("", "")])
def test_refuses_a_wrong_password_and_strangers(
    challenger: Challenger, counts: Counts, username: str, password: str
) -> None:
    message = request()
    login = Login(username, password)
    login.answer(challenge(challenger, message), message)
    again = challenge(challenger, message)
    assert counts["sip_challenges:wrong"] == 1
    assert login.rejected(again)
    assert "stale" not in str(again.headers)


def test_an_old_nonce_is_stale_and_no_reason_to_ask_for_another_password(challenger: Challenger, time: Time) -> None:
    message = request()
    login = Login("bob", "other")
    login.answer(challenge(challenger, message), message)
    time.now += 301
    asked = challenge(challenger, message)
    assert "stale=true" in (asked.headers.get("WWW-Authenticate") or "")
    assert not login.rejected(asked)
    login.answer(asked, message)
    assert challenger.check(message) == Accepted("bob")


def test_does_not_take_a_nonce_of_another(challenger: Challenger) -> None:
    message = request()
    other = Challenger("calls", ACCOUNTS)
    Login("bob", "other").answer(challenge(other, message), message)
    assert reason(challenger, message) == "stale"


@pytest.mark.parametrize(
    "credentials",
    [
        "Basic Ym9iOm90aGVy",
        'Digest realm="calls"',
        'Digest realm="calls", realm="calls"',
        'Digest username="bob" realm="calls"',
        'Digest realm="unterminated',
        'Digest username="bob",realm="calls",nonce="1",uri="sip:a",response="00",cnonce="1",nc=1,qop=auth',
        'Digest username="bob",realm="calls",nonce="1",uri="sip:a",response="00",cnonce="1",nc=00000001,qop=auth-int',
        'Digest username="bob",realm="calls",nonce="1",uri="a",response="0",cnonce="",nc=00000001,qop=auth,algorithm=X',
        'Digest username="",realm="calls",nonce="",uri="",response="",cnonce="",nc=00000001,qop=auth,algorithm=SHA-256',
        'Digest username="bob",realm="calls",nonce="1",uri="sip:a",response="00"',
        "Digest",
        "",
    ],
)
def test_refuses_malformed_credentials(challenger: Challenger, credentials: str) -> None:
    message = request()
    message.headers.set("Authorization", credentials)
    assert reason(challenger, message) == "malformed"


def test_leaves_credentials_for_others_alone(challenger: Challenger) -> None:
    message = request()
    message.headers.add("Authorization", 'Digest username="bob", realm="elsewhere"')
    assert reason(challenger, message) == "missing"


def test_forgets_used_nonces_when_they_are_old(challenger: Challenger, time: Time) -> None:
    login = Login("bob", "other")
    for _ in range(3):
        message = request()
        login.answer(challenge(challenger, message), message)
        assert challenger.check(message) == Accepted("bob")
        time.now += 200
    assert len(challenger._used) == 2


def test_answers_an_old_server_without_qop() -> None:
    message = request("REGISTER")
    asked = reply(message, 401, headers=[("WWW-Authenticate", 'Digest realm="asterisk", nonce="41e2"')])
    Login("u", "p").answer(asked, message)
    given = message.headers.get("Authorization") or ""
    assert "cnonce" not in given
    assert "algorithm" not in given
    expected = proof(
        "MD5", username="u", realm="asterisk", password="p", method="REGISTER", uri=message.uri, nonce="41e2"
    )
    assert f'response="{expected}"' in given


def test_keeps_opaque_and_answers_proxies() -> None:
    message = request("REGISTER")
    asked = reply(
        message,
        407,
        headers=[
            ("Proxy-Authenticate", 'Digest realm="p", nonce="1", opaque="x", qop="auth,auth-int", algorithm=md5'),
        ],
    )
    login = Login("u", "p")
    login.answer(asked, message)
    login.answer(asked, message)
    given = message.headers.get("Proxy-Authorization") or ""
    assert 'opaque="x"' in given
    assert "nc=00000002" in given


def test_a_new_nonce_for_a_prepared_request_rejects_nothing(challenger: Challenger) -> None:
    message = request()
    login = Login("bob", "other")
    login.answer(challenge(challenger, message), message)
    login.prepare(message)
    message.headers.set("Authorization", "Digest broken")
    assert not login.rejected(challenge(challenger, message))


@pytest.mark.parametrize(
    "value", ["Basic realm=x", 'Digest realm="a"', 'Digest realm="a", nonce="1", algorithm=SHA-1', 'Digest realm="']
)
def test_says_when_it_cannot_answer(value: str) -> None:
    message = request("REGISTER")
    asked = reply(message, 401, headers=[("WWW-Authenticate", value)])
    with pytest.raises(NoUsableChallenge):
        Login("u", "p").answer(asked, message)
