"""Backups and snapshots: whole, or nothing at all."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyrage
import pytest

from voice_verify.store import Database

from .running import COMMAND, Service, problem
from .speech import ANNA, BRUNO, ENROLMENT, TEST, samples, wav

BACKUP, RESTORE = "/api/v2/maintenance/backup", "/api/v2/maintenance/loadbackup"
EXPORT, IMPORT = "/api/v2/snapshot/export", "/api/v2/snapshot/import"


@pytest.fixture(scope="module")
def running(
    database: Callable[[str], str], model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("backup"), model_dir, database("backup"), restore_mb=4)
    service.prepare("integrator", "operator")
    service.start()
    yield service
    service.stop()


@pytest.fixture
def installation(running: Service) -> Service:
    """A service with two speakers, in maintenance mode, whatever a test before has left."""
    operate(running, "POST", "/api/v2/maintenance/unlock")
    for speaker in speakers(running):
        delete(running, speaker["speaker"])
    for voice in (ANNA, BRUNO):
        assert running.enrol(voice, wav(samples(voice, ENROLMENT, 30))).status_code == 200
    operate(running, "POST", "/api/v2/maintenance/lock")
    return running


def operate(service: Service, method: str, path: str, **arguments: Any) -> httpx.Response:
    with service.client("operator") as client:
        return client.request(method, path, **arguments).raise_for_status()


def send(service: Service, path: str, content: bytes) -> httpx.Response:
    with service.client("operator") as client:
        return client.post(path, content=content)


def speakers(service: Service) -> list[dict[str, Any]]:
    with service.client() as client:
        return list(client.get("/api/v2/speakers").json()["speakers"])


def delete(service: Service, speaker: str) -> None:
    with service.client() as client:
        client.delete(f"/api/v2/speakers/{speaker}").raise_for_status()


def enrol_again(service: Service, speaker: str, voice: str) -> None:
    operate(service, "POST", "/api/v2/maintenance/unlock")
    assert service.enrol(speaker, wav(samples(voice, ENROLMENT, 30))).status_code == 200
    operate(service, "POST", "/api/v2/maintenance/lock")


@pytest.mark.parametrize("how", ["body", "form"])
def test_a_backup_brings_everything_back(installation: Service, how: str) -> None:
    pbx = operate(
        installation,
        "POST",
        "/api/v2/pbx",
        json={"name": f"Lyon {how}", "host": "192.0.2.9", "username": "vv", "password": "correct horse"},
    ).json()
    with installation.client() as client:
        consent = {"given_at": "2026-01-31T10:30:00+01:00", "reference": "form 7"}
        client.patch(f"/api/v2/speakers/{ANNA}", json={"consent": consent}).raise_for_status()
    before = speakers(installation)
    made = operate(installation, "POST", BACKUP)
    assert made.headers["content-type"] == "application/gzip"
    assert b"correct horse" not in gzip.decompress(made.content)
    # What came later is gone after the restore, what is changed is as it was.
    enrol_again(installation, "later", BRUNO)
    enrol_again(installation, ANNA, BRUNO)
    moved = {"name": f"Lyon {how}", "host": "192.0.2.1", "username": "vv"}
    operate(installation, "PUT", f"/api/v2/pbx/{pbx['uuid']}", json=moved)
    arguments: dict[str, Any] = {"content": made.content} if how == "body" else {"files": {"file": made.content}}
    restored = operate(installation, "POST", RESTORE, **arguments).json()
    assert restored == {"restored": 2, "deleted_since": 0}
    assert speakers(installation) == before
    again = operate(installation, "GET", f"/api/v2/pbx/{pbx['uuid']}").json()
    assert (again["host"], again["has_password"]) == ("192.0.2.9", True)
    operate(installation, "POST", "/api/v2/maintenance/unlock")
    assert installation.verify(ANNA, wav(samples(ANNA, TEST, 8))).json()["decision"] == "verified"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_snapshot_moves_voiceprints_to_another_installation(
    installation: Service, model_dir: Path, tmp_path: Path, compressed: bool
) -> None:
    exported = operate(installation, "GET", EXPORT, params={"compressed": compressed})
    assert exported.headers["content-type"] == ("application/gzip" if compressed else "application/json")
    document = json.loads(gzip.decompress(exported.content) if compressed else exported.content)
    assert (document["format"], document["version"], document["count"]) == ("voice-verify-snapshot", 1, 2)
    assert len(base64.b64decode(document["voiceprints"][0]["embedding"])) == 192 * 4
    other = Service(tmp_path, model_dir, f"sqlite:///{tmp_path}/other.db")
    other.prepare("integrator", "operator")
    other.start()
    try:
        operate(other, "POST", "/api/v2/maintenance/lock")
        # Also after a person made it readable.
        content = exported.content if compressed else json.dumps(document, indent=2).encode()
        assert operate(other, "POST", IMPORT, content=content).json() == {"restored": 2, "deleted_since": 0}
        operate(other, "POST", "/api/v2/maintenance/unlock")
        assert other.verify(ANNA, wav(samples(ANNA, TEST, 8))).json()["decision"] == "verified"
        assert other.verify(ANNA, wav(samples(BRUNO, TEST, 8))).json()["decision"] == "not_verified"
        assert [item["created"] for item in speakers(other)] == [item["created"] for item in speakers(installation)]
    finally:
        other.stop()


@pytest.mark.parametrize(("save", "load"), [(("POST", BACKUP), RESTORE), (("GET", EXPORT), IMPORT)])
def test_who_left_since_is_not_brought_back(installation: Service, save: tuple[str, str], load: str) -> None:
    saved = operate(installation, *save).content
    delete(installation, ANNA)
    with installation.client() as client:
        client.patch(f"/api/v2/speakers/{BRUNO}", json={"opted_out": True}).raise_for_status()
    assert operate(installation, "POST", load, content=saved).json() == {"restored": 1, "deleted_since": 1}
    (bruno,) = speakers(installation)
    assert (bruno["speaker"], bruno["state"]) == (BRUNO, "opted_out")


def test_who_was_enrolled_again_before_the_backup_is_brought_back(installation: Service) -> None:
    delete(installation, ANNA)
    enrol_again(installation, ANNA, ANNA)
    saved = operate(installation, "POST", BACKUP).content
    assert operate(installation, "POST", RESTORE, content=saved).json() == {"restored": 2, "deleted_since": 0}


def _lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(content).splitlines()]


def _signed(*documents: dict[str, Any]) -> bytes:
    """A backup of these lines with the right sum at its end."""
    lines = b"".join(json.dumps(document, separators=(",", ":")).encode() + b"\n" for document in documents)
    trailer = {"records": len(documents) - 1, "sha256": hashlib.sha256(lines).hexdigest()}
    return gzip.compress(lines + json.dumps(trailer).encode() + b"\n")


def test_a_bad_backup_changes_nothing_and_says_why(installation: Service) -> None:
    good = operate(installation, "POST", BACKUP).content
    header, *rows, _ = _lines(good)
    plain = gzip.decompress(good)
    row = rows[0]["row"]
    snapshot = operate(installation, "GET", EXPORT).content
    maintenance = {"table": "settings", "row": {"name": "maintenance", "value": {}, "updated": header["created"]}}

    def with_embedding(content: bytes) -> bytes:
        return _signed(header, {**rows[0], "row": {**row, "embedding": base64.b64encode(content).decode()}})

    bad = {
        "backup_foreign": [b"", b"{}", gzip.compress(b"SQLite format 3"), snapshot, b"[1, 2]\n", b"\xff" * 99],
        "backup_too_new": [_signed({**header, "version": 2, "news": 1}, *rows)],
        "backup_damaged": [
            b"\x1f\x8b",
            good[:-20],
            good[: len(good) // 2],
            good[:400] + bytes([good[400] ^ 1]) + good[401:],
            good + b"more",
            plain[:-1].rpartition(b"\n")[0] + b"\n",
            plain.replace(b'"takes":1', b'"takes":2', 1),
            plain + b"{}\n",
            _signed({**header, "created": "yesterday"}, *rows),
            _signed(header, {**rows[0], "row": {**row, "speaker": "two words"}}),
            # No direction, a number that is none, and a vector of another model's size.
            with_embedding(bytes(768)),
            with_embedding(b"\xff" * 768),
            with_embedding(b"\x00\x00\x80\x3f" + bytes(4)),
            _signed(header, {**rows[0], "row": {**row, "snr_db": 1e999}}),
            _signed(header, {**rows[0], "table": "api_keys"}),
            _signed(header, rows[0], rows[0]),
            _signed(header, maintenance),
            gzip.compress(plain.splitlines()[0] + b"\n" + b'{"table":' + b"[" * 10**6 + b"\n"),
        ],
    }
    before = speakers(installation)
    for code, contents in bad.items():
        for content in contents:
            problem(send(installation, RESTORE, content), 422, code)
    assert speakers(installation) == before
    assert operate(installation, "POST", RESTORE, content=good).json()["restored"] == 2
    assert '"incident"' not in installation.log


def test_a_bad_snapshot_changes_nothing_and_says_why(installation: Service) -> None:
    good = operate(installation, "GET", EXPORT).content
    document = json.loads(good)
    first = document["voiceprints"][0]

    def changed(**members: Any) -> bytes:
        return json.dumps({**document, **members}).encode()

    bad = {
        "backup_foreign": [b"", b"{}", b"[]", b"1", b"<html>", operate(installation, "POST", BACKUP).content],
        "backup_too_new": [changed(version=2)],
        "backup_damaged": [
            good[:-3],
            good[: len(good) // 2],
            good + b"{}",
            changed(count=1),
            changed(sha256="0" * 64),
            changed(news=[1]),
            changed(voiceprints=[{**first, "clipped_share": 0.5}, *document["voiceprints"][1:]]),
            changed(voiceprints=[{**first, "embedding": "AAAA"}]),
            changed(voiceprints=[1]),
            changed(voiceprints=[first, {"speaker": "x" * 2 * 2**20}]),
            changed(model="x" * 2 * 2**20),
            changed(voiceprints=None),
        ],
    }
    before = speakers(installation)
    for code, contents in bad.items():
        for content in contents:
            problem(send(installation, IMPORT, content), 422, code)
    assert speakers(installation) == before
    assert operate(installation, "POST", IMPORT, content=good).json()["restored"] == 2
    assert '"incident"' not in installation.log


def test_a_file_beyond_the_limit_is_refused(installation: Service) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(6):
            yield bytes(2**20)

    with installation.client("operator") as client:
        problem(client.post(RESTORE, content=bytes(5 * 2**20)), 413, "upload_too_large")
        problem(client.post(RESTORE, content=endless()), 413, "upload_too_large")
        problem(client.post(RESTORE, files={"file": bytes(5 * 2**20)}), 413, "upload_too_large")
        problem(client.post(RESTORE, files={"other": b"x"}), 422, "invalid_request")


def test_needs_maintenance_mode_and_no_stream(installation: Service) -> None:
    saved = {
        RESTORE: operate(installation, "POST", BACKUP).content,
        IMPORT: operate(installation, "GET", EXPORT).content,
    }
    operate(installation, "POST", "/api/v2/maintenance/unlock")

    def refused(code: str) -> None:
        for path, content in {**saved, BACKUP: b""}.items():
            problem(send(installation, path, content), 409, code)

    refused("maintenance_required")
    with installation.stream() as stream:
        operate(installation, "POST", "/api/v2/maintenance/lock")
        refused("streams_running")
        assert json.loads(operate(installation, "GET", EXPORT).content)["count"] == 2
        stream.end()
    assert operate(installation, "POST", IMPORT, content=saved[IMPORT]).json()["restored"] == 2


def test_only_operators_may(installation: Service) -> None:
    with installation.client() as client:
        for method, path in (("POST", BACKUP), ("POST", RESTORE), ("GET", EXPORT), ("POST", IMPORT)):
            problem(client.request(method, path), 403, "forbidden")


def test_another_models_voiceprints_come_back_and_are_never_scored(installation: Service) -> None:
    document = json.loads(operate(installation, "GET", EXPORT).content)
    lines = []
    for voiceprint in document["voiceprints"]:
        voiceprint["model"] = "0" * 64
        lines.append(json.dumps(voiceprint, separators=(",", ":")).encode() + b"\n")
    document["sha256"] = hashlib.sha256(b"".join(lines)).hexdigest()
    operate(installation, "POST", IMPORT, content=json.dumps(document).encode())
    operate(installation, "POST", "/api/v2/maintenance/unlock")
    answer = installation.verify(ANNA, wav(samples(ANNA, TEST, 8))).json()
    assert (answer["decision"], answer["reason"], answer["score"]) == ("not_sure", "model_mismatch", None)


def test_is_on_record(installation: Service) -> None:
    saved = operate(installation, "POST", BACKUP).content
    operate(installation, "POST", RESTORE, content=saved)
    database = Database(installation.environment["VV_DATABASE_URL"])
    with database.reading() as session:
        query = "SELECT action, key_id FROM audit_records WHERE action LIKE 'backup%' ORDER BY id"
        found = session.connection().exec_driver_sql(query.replace("%", "%%")).all()
    database.close()
    assert [action for action, _ in found][-2:] == ["backup_made", "backup_restored"]
    assert all(key for _, key in found)


@pytest.fixture
def key() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def test_an_encrypted_backup_is_read_by_the_owner_of_the_key_only(
    installation: Service, key: pyrage.x25519.Identity
) -> None:
    made = operate(installation, "POST", BACKUP, params={"recipient": str(key.to_public())})
    assert made.headers["content-type"] == "application/age"
    assert made.content.startswith(b"age-encryption.org/v1\n-> X25519 ")
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(made.content, [pyrage.x25519.Identity.generate()])
    clear = pyrage.decrypt(made.content, [key])
    assert [line["table"] for line in _lines(clear) if "table" in line].count("speakers") == 2
    problem(send(installation, RESTORE, made.content), 422, "backup_foreign")
    assert operate(installation, "POST", RESTORE, content=clear).json()["restored"] == 2


@pytest.mark.parametrize("recipient", ["age1", "x", "age1" + "q" * 58, "ssh-ed25519 AAAA"])
def test_refuses_to_encrypt_to_what_is_no_key(installation: Service, recipient: str) -> None:
    with installation.client("operator") as operator:
        problem(operator.post(BACKUP, params={"recipient": recipient}), 422, "recipient_invalid")


def test_a_backup_beyond_what_it_may_write_leaves_nothing(
    installation: Service, key: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    file = tmp_path / "made.age"
    command = ["prlimit", "--fsize=512", COMMAND, "backup", "--recipient", str(key.to_public()), file]
    done = subprocess.run(command, env=installation.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, file.exists()) == (1, False)
    assert done.stderr.startswith("error: The data disk is full")


def test_a_backup_while_calls_go_on_is_of_one_moment(
    installation: Service, key: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    operate(installation, "POST", "/api/v2/maintenance/unlock")
    file = tmp_path / "made.age"
    with installation.stream() as stream:
        problem(send(installation, BACKUP, b""), 409, "maintenance_required")
        made = operate(installation, "POST", BACKUP, params={"while_running": True}).content
        command = ("backup", "--recipient", str(key.to_public()), str(file))
        done = installation.command(*command)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["bytes"] == file.stat().st_size
        # What is there is never written over.
        refused = installation.command(*command)
        assert refused.returncode == 1
        assert "cannot be made" in refused.stderr
        stream.end()
    assert [line for line in _lines(made) if "row" in line] == [
        line for line in _lines(pyrage.decrypt(file.read_bytes(), [key])) if "row" in line
    ]
    operate(installation, "POST", "/api/v2/maintenance/lock")
    assert operate(installation, "POST", RESTORE, content=made).json()["restored"] == 2
