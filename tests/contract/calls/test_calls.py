"""Calls to the real service, from the INVITE to the decision."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.contract import licences
from tests.contract.running import Service, free_port, until
from tests.contract.speech import ANNA, BRUNO, ENROLMENT, TEST, samples, wav
from tests.media.certificates import Authority

from .caller import Caller, metadata, sdp

LICENCE = licences.licence(features=("websocket", "sip", "siprec"))
MakeCaller = Callable[..., Caller]


def free_range() -> int:
    """The first of some even ports that are likely to be free: pairs that are not are skipped."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return min(int(probe.getsockname()[1]), 65_000) & ~1


def started(folder: Path, model_dir: Path, **settings: Any) -> Service:
    """A service that takes calls; it is ready for them."""
    first = free_range()
    port = free_port()
    service = Service(
        folder,
        model_dir,
        f"sqlite:///{folder}/own.db",
        licence=LICENCE,
        **({"sip_host": "127.0.0.1", "sip_port": port, "rtp_first": first, "rtp_last": first + 99} | settings),
    )
    service.prepare("integrator", "operator")
    service.start()
    with service.client("") as client:
        until(lambda: check(client.get("/health/ready").json())["state"] == "ok", 180)
    return service


def check(ready: dict[str, Any]) -> dict[str, Any]:
    return dict(next(check for check in ready["checks"] if check["name"] == "telephony"))


@pytest.fixture(scope="module")
def service(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With two speakers enrolled; a call that is held or silent is soon noticed."""
    running = started(tmp_path_factory.mktemp("calls"), model_dir, max_streams=3, stream_idle_s=12)
    try:
        for voice in (ANNA, BRUNO):
            assert running.enrol(voice, wav(samples(voice, ENROLMENT, 30))).status_code == 200
        yield running
    finally:
        running.stop()


@pytest.fixture
def caller() -> Iterator[Callable[..., Caller]]:
    """Makes callers of a service."""
    made: list[Caller] = []

    def make(service: Service, **options: Any) -> Caller:
        made.append(Caller(int(service.environment["VV_SIP_PORT"]), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def streams(service: Service) -> list[dict[str, Any]]:
    with service.client() as client:
        found: list[dict[str, Any]] = client.get("/api/v2/streams").json()["streams"]
        return found


def nothing_runs(service: Service) -> bool:
    return not streams(service)


def decision(service: Service, uuid: str, speaker: str) -> str:
    with service.client() as client:
        return str(client.post(f"/api/v2/streams/{uuid}/verify", json={"speaker": speaker}).json()["decision"])


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_verifies_the_caller(service: Service, caller: MakeCaller, kind: socket.SocketKind) -> None:
    phone, wanted = caller(service, kind=kind), str(uuid4())
    answer = phone.invite(None, f"X-Stream-UUID: {wanted}")
    assert answer.status == 200
    assert answer.headers["x-stream-uuid"].startswith(wanted)
    (stream,) = streams(service)
    assert (stream["uuid"], stream["source"], stream["call_id"]) == (wanted, "sip", phone.call_id)
    assert (stream["caller"], stream["callee"]) == ("sip:anna@example.com", "sip:verify@example.com")
    assert (stream["peer"], stream["codec"], stream["rate"]) == ("127.0.0.1", "alaw", 8000)
    phone.say(samples(ANNA, TEST, 12))
    until(lambda: decision(service, wanted, ANNA) == "verified")
    assert decision(service, wanted, BRUNO) == "not_verified"
    assert phone.bye().status == 200
    with service.client() as client:
        # It is written a moment after the stream is gone.
        until(lambda: client.get(f"/api/v2/reports/{wanted}").status_code == 200)
        report = client.get(f"/api/v2/reports/{wanted}").json()
    assert report["end_reason"] == "client_closed"
    assert report["audio_s"] == pytest.approx(12, abs=0.3)
    assert nothing_runs(service)


def test_enrols_and_verifies_over_calls(service: Service, caller: MakeCaller) -> None:
    phone = caller(service)
    phone.invite(None, "X-UUID: 6f1c1a52-3a3f-4f0a-9a58-0c4b1e8f7d21")
    path = "/api/v2/streams/6f1c1a52-3a3f-4f0a-9a58-0c4b1e8f7d21/enroll"
    with service.client() as client:
        assert client.post(path, json={"speaker": "by-call"}).status_code == 202
        # Faster for long it would be a flood.
        phone.say(samples(BRUNO, ENROLMENT, 26), speed=2)
        until(lambda: client.get(path).json()["state"] == "enrolled")
    phone.bye()
    again = caller(service)
    uuid = again.invite().headers["x-stream-uuid"].partition(";")[0]
    again.say(samples(BRUNO, TEST, 12))
    until(lambda: decision(service, uuid, "by-call") == "verified")
    again.bye()
    until(lambda: nothing_runs(service))


def test_deleting_the_stream_ends_the_call(service: Service, caller: MakeCaller) -> None:
    phone = caller(service)
    uuid = phone.invite().headers["x-stream-uuid"].partition(";")[0]
    with service.client() as client:
        client.delete(f"/api/v2/streams/{uuid}").raise_for_status()
    assert phone.asked("BYE").headers["reason"] == 'SIP;cause=200;text="deleted"'
    until(lambda: nothing_runs(service))


def test_holds_longer_than_silence_may_last(service: Service, caller: MakeCaller) -> None:
    phone = caller(service)
    uuid = phone.invite().headers["x-stream-uuid"].partition(";")[0]
    phone.say(samples(ANNA, TEST, 6))
    held = phone.invite(sdp(*phone.rtp_ports, attributes="inactive"))
    assert (held.status, "a=inactive" in held.body, held.ports) == (200, True, phone.ports)
    # stream_idle_s is 12.
    with pytest.raises(TimeoutError):
        phone.receive(16)
    resumed = phone.invite()
    assert (resumed.status, "a=recvonly" in resumed.body) == (200, True)
    phone.say(samples(ANNA, "vm-*.wav", 6))
    until(lambda: decision(service, uuid, ANNA) == "verified")
    assert phone.bye().status == 200
    until(lambda: nothing_runs(service))


def test_a_call_without_audio_is_ended(service: Service, caller: MakeCaller) -> None:
    phone = caller(service)
    phone.invite()
    assert phone.asked("BYE").headers["reason"] == 'SIP;cause=408;text="idle_timeout"'
    until(lambda: nothing_runs(service))


def test_records_both_sides_of_a_conversation(service: Service, caller: MakeCaller) -> None:
    phone = caller(service, legs=2)
    offer = sdp(*phone.rtp_ports, attributes="sendonly")
    parts = [
        f"Content-Type: application/sdp\r\n\r\n{offer}",
        f"Content-Type: application/rs-metadata+xml\r\n\r\n{metadata(['Anna', 'Bruno'])}",
    ]
    body = "".join(f"--limit\r\n{part}\r\n" for part in parts) + "--limit--\r\n"
    answer = phone.invite(body, "Require: siprec", content_type="multipart/mixed;boundary=limit")
    assert answer.status == 200
    assert "+sip.srs" in answer.headers["contact"]
    assert len(set(phone.ports)) == 2
    by_name = {stream["participant"]: stream for stream in streams(service)}
    assert {stream["source"] for stream in by_name.values()} == {"siprec"}
    assert {stream["call_id"] for stream in by_name.values()} == {phone.call_id}
    phone.say(samples(ANNA, TEST, 12), samples(BRUNO, TEST, 12))
    until(lambda: decision(service, by_name["Anna"]["uuid"], ANNA) == "verified")
    until(lambda: decision(service, by_name["Bruno"]["uuid"], BRUNO) == "verified")
    assert decision(service, by_name["Anna"]["uuid"], BRUNO) == "not_verified"
    assert phone.bye().status == 200
    until(lambda: nothing_runs(service))


def test_is_busy_at_the_cap_and_running_calls_go_on(service: Service, caller: MakeCaller) -> None:
    phones = [caller(service) for _ in range(4)]
    answers = [phone.invite() for phone in phones]
    assert [answer.status for answer in answers] == [200, 200, 200, 486]
    refused = answers[3].headers
    assert refused["reason"] == 'SIP;cause=486;text="too_many_streams"'
    assert refused["warning"].startswith('399 voice-verify "')
    assert len(streams(service)) == 3
    for phone in phones[:3]:
        assert phone.bye().status == 200
    until(lambda: nothing_runs(service))


def test_refuses_while_the_service_is_in_maintenance(service: Service, caller: MakeCaller) -> None:
    with service.client("operator") as client:
        client.post("/api/v2/maintenance/lock").raise_for_status()
        refused = caller(service).invite()
        client.post("/api/v2/maintenance/unlock").raise_for_status()
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) > 0


def test_forcing_off_ends_every_call(service: Service, caller: MakeCaller) -> None:
    phones = [caller(service) for _ in range(2)]
    for phone in phones:
        phone.invite()
    with service.client("operator") as client:
        client.post("/api/v2/maintenance/force_off").raise_for_status()
        for phone in phones:
            phone.asked("BYE")
        client.post("/api/v2/maintenance/unlock")
    until(lambda: nothing_runs(service))


def test_refuses_what_it_cannot_hear(service: Service, caller: MakeCaller) -> None:
    phone = caller(service)
    assert phone.invite(sdp(*phone.rtp_ports, formats="18")).status == 488
    assert nothing_runs(service)


def test_counts_what_happened(service: Service, caller: MakeCaller) -> None:
    phone = caller(service)
    assert phone.invite(sdp(*phone.rtp_ports, formats="18")).status == 488
    phone.invite()
    phone.bye()
    names = ("calls_total", 'refusals_total{kind="no_codec"}', "rtp_packets_total", "rtp_ports_free 50.0")
    with service.client("") as client:
        # The process reports twice a second.
        for name in names:
            until(lambda name=name: f"voice_verify_telephony_{name}" in client.get("/metrics").text)


def test_hears_what_is_encrypted(model_dir: Path, tmp_path: Path, caller: MakeCaller) -> None:
    authority, tls_port = Authority(tmp_path), free_port()
    certificate, key = authority.issue("127.0.0.1")
    service = started(tmp_path, model_dir, sip_tls_port=tls_port, sip_tls_certificate=certificate, sip_tls_key=key)
    phone = Caller(tls_port, kind=socket.SOCK_STREAM, authority=authority.certificate)
    try:
        offer = sdp(*phone.rtp_ports, key=phone.key)
        answer = phone.invite(offer)
        assert "RTP/SAVP 8" in answer.body
        assert answer.headers["contact"] == f"<sip:127.0.0.1:{tls_port};transport=tls>"
        phone.say(samples(ANNA, TEST, 8))
        until(lambda: streams(service)[0]["net_speech_s"] >= 4)
        assert phone.bye().status == 200
        # Its key would be for all to read.
        assert caller(service).invite(offer).status == 488
    finally:
        phone.close()
        service.stop()


def test_strangers_and_wrong_passwords(model_dir: Path, tmp_path: Path, caller: MakeCaller) -> None:
    accounts = tmp_path / "accounts.json"
    accounts.write_text(json.dumps({"anna": "secret"}))
    service = started(tmp_path, model_dir, sip_peers="127.0.0.0/8", sip_accounts_file=accounts)
    try:
        challenge = caller(service).invite()
        assert challenge.status == 401
        assert "www-authenticate" in challenge.headers
        assert nothing_runs(service)
    finally:
        service.stop()


def test_only_peers_may_call(model_dir: Path, tmp_path: Path, caller: MakeCaller) -> None:
    service = started(tmp_path, model_dir, sip_peers="192.0.2.0/24")
    try:
        assert caller(service).invite().status == 403
    finally:
        service.stop()


def test_a_service_that_stops_hangs_up(model_dir: Path, tmp_path: Path, caller: MakeCaller) -> None:
    service = started(tmp_path, model_dir)
    phone = caller(service)
    try:
        phone.invite()
    finally:
        service.stop()
    assert phone.asked("BYE").headers["reason"] == 'SIP;cause=503;text="shutdown"'
