"""Calls by the telephony process: streams like others, whoever of both processes ends, dies or hangs."""

from __future__ import annotations

import csv
import io
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from . import licences, telephony
from .running import Service, until
from .speech import ANNA, BRUNO, ENROLMENT, RATE, TEST, encoded, samples, wav
from .telephony import Telephony

StartTelephony = Callable[..., Telephony]


@pytest.fixture
def start(model_dir: Path, tmp_path: Path) -> Iterator[StartTelephony]:
    """Starts a service of a test's own whose telephony process runs the tiny agent."""
    started: list[Service] = []

    def begin(**settings: Any) -> Telephony:
        service = telephony.make(tmp_path, model_dir, f"sqlite:///{tmp_path}/own.db", **settings)
        service.prepare("integrator", "operator")
        started.append(service)
        service.start()
        return Telephony(service)

    yield begin
    for service in started:
        service.stop()


@pytest.fixture(scope="module")
def calls(
    database: Callable[[str], str], model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Telephony]:
    """Shared by tests that leave nothing behind, on each kind of database."""
    service = telephony.make(tmp_path_factory.mktemp("calls"), model_dir, database(f"calls_{uuid4().hex}"))
    service.prepare("integrator", "operator")
    service.start()
    running = Telephony(service)
    running.wait()
    service.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    yield running
    assert service.stop() == -signal.SIGTERM, service.log
    assert '"incident"' not in service.log
    assert "Traceback" not in service.log


@pytest.mark.parametrize(
    ("codec", "rate"), [("alaw", 8000), ("mulaw", 8000), ("pcm_s16le", 8000), ("pcm_s16le", 16000)]
)
def test_who_calls_is_verified(calls: Telephony, codec: str, rate: int) -> None:
    audio = samples(ANNA, TEST, 8)
    with calls.call(codec=codec, rate=rate) as call, calls.service.client() as client:
        stream = call.described()
        assert (stream["source"], stream["codec"], stream["rate"], stream["peer"]) == ("sip", codec, rate, "192.0.2.7")
        assert (stream["call_id"], stream["caller"], stream["connected"]) == (
            "a84b4c76e66710",
            "sip:anna@example.com",
            True,
        )
        call.send(encoded(audio, codec, rate))
        until(lambda: call.described()["audio_s"] >= 7.8)
        answer = client.post(f"{call.path}/verify", json={"speaker": ANNA}).json()
        assert answer["decision"] == "verified"
        report = call.hang_up()
    assert (report["end_reason"], report["codec"], report["callee"]) == ("client_closed", codec, stream["callee"])
    assert report["audio_s"] == pytest.approx(8, abs=0.15)
    assert report["events"][0]["outcome"] == "verified"


def test_a_call_has_a_stream_for_each_participant(calls: Telephony) -> None:
    uuid, pbx = str(uuid4()), str(uuid4())
    with (
        calls.call(source="siprec", uuid=uuid, participant="Anna Berg", pbx=pbx) as one,
        calls.call(source="siprec", participant="Agent \x00\x1b[2J" + "x" * 500, pbx=pbx) as two,
    ):
        assert one.uuid == uuid
        assert (one.described()["participant"], one.described()["pbx"]) == ("Anna Berg", pbx)
        assert two.described()["participant"].startswith("Agent \N{REPLACEMENT CHARACTER}")
        assert calls.metrics()['voice_verify_telephony_streams{source="siprec"}'] == 2
        # The very first to come keeps its name.
        with calls.call(uuid=uuid) as third:
            assert (third.answer["code"], third.answer["status"]) == ("stream_in_use", 400)
        two.hang_up()
        assert one.hang_up()["participant"] == "Anna Berg"
    with calls.call(uuid=uuid) as late:
        assert late.answer["code"] == "stream_in_use"


def test_the_codec_changes_in_mid_call(calls: Telephony) -> None:
    with calls.call(then="recode") as call:
        call.send(encoded(samples(ANNA, TEST, 2), "mulaw", 8000))
        until(lambda: call.described()["codec"] == "mulaw")
        assert call.hang_up()["codec"] == "mulaw"


def test_half_a_sample_ends_the_call(calls: Telephony) -> None:
    with calls.call(codec="pcm_s16le") as call:
        call.send(b"abc")
        assert call.ended() == "error"
        assert call.report()["end_reason"] == "error"


def test_a_cancelled_call_leaves_no_stream(calls: Telephony) -> None:
    assert calls.do("cancel", call=telephony.CALL) == {"cancelled": True}
    with calls.service.client() as client:
        until(lambda: client.get("/api/v2/streams").json()["streams"] == [])


def test_the_service_ends_a_call(calls: Telephony) -> None:
    with calls.call() as deleted, calls.service.client() as client:
        client.delete(deleted.path).raise_for_status()
        assert deleted.ended() == "deleted"
        assert deleted.report()["end_reason"] == "deleted"


def test_maintenance_refuses_new_calls_and_force_off_ends_those_that_run(calls: Telephony) -> None:
    with calls.service.client("operator") as operator, calls.call() as running:
        operator.post("/api/v2/maintenance/lock").raise_for_status()
        try:
            with calls.call() as refused:
                assert (refused.answer["code"], refused.answer["status"]) == ("maintenance_mode", 503)
                assert refused.answer["retry_after_s"] > 0
                assert refused.answer["reason"] == "Service Unavailable"
            assert running.described()["connected"]
            assert operator.post("/api/v2/maintenance/force_off").status_code == 200
            assert running.ended() == "maintenance"
        finally:
            operator.post("/api/v2/maintenance/unlock").raise_for_status()


def test_usage_counts_calls_like_other_streams(calls: Telephony) -> None:
    with calls.service.client("operator") as operator:

        def minutes() -> float:
            return float(operator.get("/api/v2/logging_aggregate").json()["totals"]["stream_minutes"])

        before = minutes()
        with calls.call() as call:
            call.send(encoded(samples(ANNA, TEST, 6), "alaw", 8000))
            call.hang_up()
        assert minutes() - before == pytest.approx(0.1, abs=0.001)


def test_a_deleted_speaker_leaves_no_name_of_who_called(calls: Telephony) -> None:
    calls.service.enrol("forgotten", wav(samples(BRUNO, ENROLMENT, 30))).raise_for_status()
    with calls.call() as call, calls.call(caller="sip:bruno@example.com") as other, calls.service.client() as client:
        client.post(f"{call.path}/verify", json={"speaker": "forgotten"}).raise_for_status()
        assert call.hang_up()["caller"] == "sip:anna@example.com"
        other.hang_up()
        client.delete("/api/v2/speakers/forgotten").raise_for_status()
        named = ("call_id", "caller", "callee", "participant")
        assert {call.report()[name] for name in named} == {None}
        assert other.report()["caller"] == "sip:bruno@example.com"


def test_what_a_caller_wrote_is_no_formula(calls: Telephony) -> None:
    with calls.call(caller="=1+1", callee="+33140205050") as call, calls.service.client(Accept="text/csv") as client:
        call.hang_up()
        (row,) = csv.DictReader(io.StringIO(client.get(f"/api/v2/reports/{call.uuid}").text))
    assert (row["caller"], row["callee"], row["participant"]) == ("'=1+1", "'+33140205050", "")


def test_what_the_process_counts_is_shown(calls: Telephony) -> None:
    with calls.call(), calls.call(), calls.call():
        # It reports twice a second.
        until(lambda: calls.metrics()["voice_verify_telephony_legs"] == 3)
        found = calls.metrics()
    assert found["voice_verify_telephony_calls_total"] >= 3
    assert found["voice_verify_telephony_up"] == 1
    assert found["voice_verify_telephony_restarts_total"] == 0
    assert found["voice_verify_telephony_memory_bytes"] > 10e6
    assert found["voice_verify_telephony_cpu_seconds_total"] > 0


def test_the_process_that_answers_strangers_knows_no_settings_of_the_service(calls: Telephony) -> None:
    environment = Path(f"/proc/{calls.pid}/environ").read_bytes().split(b"\0")
    assert [name for name in environment if name.startswith((b"VV_", b"CREDENTIALS_DIRECTORY"))] == []


def test_changes_of_pbx_instances_reach_the_process(calls: Telephony) -> None:
    with calls.service.client("operator") as operator, calls.call() as running:
        body = {"name": "Lyon", "host": "192.0.2.9", "username": "vv", "password": "correct horse"}
        added = operator.post("/api/v2/pbx", json=body).json()
        path = f"/api/v2/pbx/{added['uuid']}"
        assert added["registration"]["state"] == "not_registered"
        until(lambda: [item["password"] for item in calls.do("list")["pbx"]] == ["correct horse"])
        calls.do("register")
        until(lambda: operator.get(path).json()["registration"]["state"] == "failed")
        error = operator.get(path).json()["registration"]["last_error"]
        assert (error["code"], error["message"]) == ("wrong_password", "The PBX says no\ufffd\ufffd.")
        with calls.call(pbx=added["uuid"], source="siprec"), calls.call(pbx=added["uuid"], source="siprec"):
            # Two streams of one call.
            assert operator.get(path).json()["running_calls"] == 1
            labels = f'{{name="Lyon",pbx="{added["uuid"]}"'
            assert calls.metrics()[f"voice_verify_telephony_pbx_calls{labels}}}"] == 1
            assert calls.metrics()[f'voice_verify_telephony_pbx_registration{labels},state="failed"}}'] == 1
        operator.put(path, json={**body, "password": "battery staple"}).raise_for_status()
        until(lambda: [item["password"] for item in calls.do("list")["pbx"]] == ["battery staple"])
        operator.delete(path).raise_for_status()
        until(lambda: calls.do("list")["pbx"] == [])
        assert running.described()["connected"]
    assert "horse" not in calls.service.log
    assert "staple" not in calls.service.log


def test_an_idle_call_ends_but_not_while_it_is_held(start: StartTelephony) -> None:
    service = start(stream_idle_s=1)
    service.wait()
    with service.call(then="hold") as held, service.call() as idle:
        assert idle.ended() == "idle_timeout"
        time.sleep(2)
        assert held.described()["connected"]
        # Whoever hangs up while it is held ends it.
        assert held.hang_up()["end_reason"] == "client_closed"


def test_a_silent_call_ends(start: StartTelephony) -> None:
    service = start(stream_silence_s=5)
    service.wait()
    with service.call(codec="pcm_s16le") as silent:
        silent.send(bytes(8 * 2 * RATE))
        assert silent.ended() == "silence_timeout"


def test_a_full_service_is_busy_and_calls_that_run_go_on(start: StartTelephony) -> None:
    service = start(max_streams=2)
    service.wait()
    with service.call() as one, service.call():
        with service.call() as refused:
            assert (refused.answer["code"], refused.answer["status"], refused.answer["reason"]) == (
                "too_many_streams",
                486,
                "Busy Here",
            )
        assert one.described()["connected"]
        one.hang_up()
        with service.call() as another:
            assert "uuid" in another.answer
    until(lambda: service.metrics().get('voice_verify_telephony_refused_total{kind="too_many_streams"}') == 1)


def test_the_licence_decides_which_calls_come_in(model_dir: Path, tmp_path: Path) -> None:
    service = telephony.make(
        tmp_path,
        model_dir,
        f"sqlite:///{tmp_path}/own.db",
        licence=licences.licence(features=("websocket", "sip"), calls=1),
    )
    service.prepare("integrator")
    service.start()
    try:
        running = Telephony(service)
        running.wait()
        with running.call(source="siprec") as refused:
            assert (refused.answer["code"], refused.answer["status"]) == ("feature_not_licensed", 403)
        with running.call(), running.call() as second:
            assert (second.answer["code"], second.answer["status"]) == ("licence_exceeded", 486)
    finally:
        service.stop()


@pytest.mark.parametrize("how", ["die", "hang"])
def test_a_process_that_is_replaced_ends_its_calls(start: StartTelephony, how: str) -> None:
    service = start()
    service.wait()
    before = service.pid
    with service.call() as call:
        call.send(encoded(samples(ANNA, TEST, 4), "alaw", 8000))
        until(lambda: call.described()["audio_s"] >= 3.9)
        threading.Thread(target=_do_without_answer, args=(service, how), daemon=True).start()
        until(lambda: service.pid not in (None, before), 30)
        report = call.report()
        assert report["end_reason"] == "telephony_restarted"
        assert report["audio_s"] == pytest.approx(4, abs=0.05)
    service.wait()
    assert service.metrics()["voice_verify_telephony_restarts_total"] == 1
    with service.call() as another:
        assert "uuid" in another.answer
    # Counters go on where they were.
    until(lambda: service.metrics().get("voice_verify_telephony_calls_total", 0) >= 1)


def test_the_process_ends_with_the_service(start: StartTelephony) -> None:
    service = start()
    service.wait()
    process = service.pid
    with service.call() as call:
        service.service.stop(signal.SIGKILL)
        assert call.ended() == "shutdown"
    until(lambda: not Path(f"/proc/{process}").exists())


def test_a_service_that_stops_ends_its_calls_first(start: StartTelephony) -> None:
    service = start()
    service.wait()
    process = service.pid
    with service.call() as call:
        stopping = threading.Thread(target=service.service.stop)
        stopping.start()
        assert call.ended() == "shutdown"
        stopping.join()
    assert not Path(f"/proc/{process}").exists()
    service.service.start()
    assert call.report()["end_reason"] == "shutdown"


def test_a_process_that_cannot_start_says_why(start: StartTelephony, tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.json"
    accounts.write_text(json.dumps({"poison": "secret horse"}))
    service = start(sip_accounts_file=accounts)
    until(lambda: service.ready()["state"] == "failed")
    found = service.ready()
    assert found["ok"] is False
    assert "this account is poison; name another one" in found["problem"]
    with service.service.client("") as client:
        assert client.get("/health/ready").status_code == 503
    with service.service.stream() as stream:
        stream.send(samples(ANNA, TEST, 1))
        assert stream.end()["audio_s"] == pytest.approx(1, abs=0.05)
    assert "horse" not in service.service.log


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"anna": ""}', '{"": "secret"}', '{"anna": 1}'])
def test_refuses_to_start_without_the_accounts_that_it_shall_ask_for(
    model_dir: Path, tmp_path: Path, content: str
) -> None:
    accounts = tmp_path / "accounts.json"
    accounts.write_text(content)
    service = telephony.make(tmp_path, model_dir, f"sqlite:///{tmp_path}/own.db", sip_accounts_file=accounts)
    refused = service.command("serve")
    assert refused.returncode == 1
    assert "VV_SIP_ACCOUNTS_FILE" in refused.stderr
    assert "secret" not in refused.stderr


def test_without_telephony_the_service_is_ready(start: StartTelephony) -> None:
    service = start(sip_host="")
    assert service.ready() == {"name": "telephony", "ok": True, "state": "off", "problem": None}
    assert service.pid is None
    assert not [name for name in service.metrics() if name.startswith("voice_verify_telephony")]


def test_hears_every_second_of_150_calls(start: StartTelephony) -> None:
    service = start(max_streams=150)
    service.wait()
    audio = encoded(samples(ANNA, TEST, 6), "alaw", 8000)
    with ExitStack() as running:
        legs = [running.enter_context(service.call(call_id=f"call-{number}")) for number in range(150)]
        with service.service.client() as client:
            assert len(client.get("/api/v2/streams").json()["streams"]) == 150
        for second in range(6):
            for leg in legs:
                leg.send(audio[second * RATE : (second + 1) * RATE])
        reports = [leg.hang_up() for leg in legs]
    assert {round(report["audio_s"], 2) for report in reports} == {6.0}
    assert len({report["call_id"] for report in reports}) == 150


def _do_without_answer(service: Telephony, how: str) -> None:
    try:
        service.do(how)
    except OSError:
        return
