"""Keys, roles, paths, probes and documentation."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from pathlib import Path

import pytest

from .conftest import StartService
from .running import Service, problem
from .speech import ANNA

UUID = "6f0c2a1e-4f4e-4c53-9d0b-0c8b6f1f7a51"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer vv_wrong", "Basic dnY6dnY=", "vv_wrong"])
@pytest.mark.parametrize("path", ["/api/v2/streams", "/api/v2/speakers/anna", "/api/v2/nothing"])
def test_refuses_callers_without_a_valid_key(service: Service, authorization: str | None, path: str) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    with service.client("", **headers) as client:
        answer = client.get(path)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_refuses_an_upload_without_a_key_before_reading_it(service: Service) -> None:
    with service.client("") as client:
        answer = client.post("/api/v2/enroll", data={"speaker": "x"}, files={"recording": bytes(10**6)})
    problem(answer, 401, "unauthenticated")


@pytest.mark.parametrize(
    ("role", "may_read", "may_change"),
    [("integrator", True, True), ("operator", True, False), ("viewer", True, False), ("billing", False, False)],
)
def test_a_role_may_do_its_own_work_only(service: Service, role: str, may_read: bool, may_change: bool) -> None:
    with service.client(role) as client:
        reads = [client.get(path) for path in ("/api/v2/streams", "/api/v2/speakers", f"/api/v2/speakers/{ANNA}")]
        changes = [
            client.delete("/api/v2/speakers/never-enrolled"),
            client.delete(f"/api/v2/streams/{UUID}"),
            client.post(f"/api/v2/streams/{UUID}/verify", json={"speaker": ANNA}),
            client.post(f"/api/v2/streams/{UUID}/enroll", json={"speaker": ANNA}),
            client.post("/api/v2/enroll", data={"speaker": "never-enrolled"}, files={"recording": b"x"}),
        ]
        verified = client.post("/api/v2/verify", data={"speaker": "never-enrolled"}, files={"recording": b"x"})
    # Operators, too, who must know after an upgrade whether a known voice is still known.
    assert verified.status_code == (200 if may_change or role == "operator" else 403)
    for answer in reads:
        assert answer.status_code == 200 if may_read else problem(answer, 403, "forbidden")
    for answer in changes:
        # Let through, to find nothing, or to find that it is no recording.
        assert answer.status_code in (404, 422) if may_change else problem(answer, 403, "forbidden")


def test_metrics_answer_this_machine_and_viewers_elsewhere(service: Service) -> None:
    with service.client("") as client:
        assert "vv_streams" in client.get("/metrics").text
        # The service believes a proxy on this machine about where a request comes from.
        elsewhere = {"X-Forwarded-For": "192.0.2.7"}
        problem(client.get("/metrics", headers=elsewhere), 401, "unauthenticated")
    with service.client("billing", **elsewhere) as client:
        problem(client.get("/metrics"), 403, "forbidden")
    with service.client("viewer", **elsewhere) as client:
        assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize(
    "path", ["/api/v2/streams", "/api/v2/speakers", f"/api/v2/speakers/{ANNA}", "/health/live", "/health/ready"]
)
def test_paths_work_with_and_without_a_trailing_slash(service: Service, path: str) -> None:
    with service.client() as client:
        without, with_slash = client.get(path), client.get(f"{path}/")
    assert without.status_code == with_slash.status_code == 200
    assert without.json() == with_slash.json()


def test_framework_errors_have_the_shape_of_ours(service: Service) -> None:
    with service.client() as client:
        problem(client.get("/nothing"), 404, "not_found")
        problem(client.get("/api/v2/nothing"), 404, "not_found")
        answer = client.put("/api/v2/streams")
        problem(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "GET, POST"
        path = f"/api/v2/streams/{UUID}/verify"
        problem(client.post(path, content=b"{", headers={"Content-Type": "application/json"}), 400, "malformed_body")
        multipart = {"Content-Type": "multipart/form-data; boundary=frontier"}
        problem(client.post("/api/v2/verify", content=b"x", headers=multipart), 400, "malformed_body")
        problem(client.get("/api/v2/streams/no-uuid"), 422, "invalid_request")
        problem(client.get("/api/v2/speakers?limit=0"), 422, "invalid_request")


def test_swagger_needs_nothing_from_outside(service: Service) -> None:
    with service.client("") as client:
        page = client.get("/swagger/")
        assert page.status_code == client.get("/swagger").status_code == 200
        addresses = re.findall(r"""(?:src|href|url)[=:]\s*["']([^"']+)""", page.text)
        assert addresses
        for address in addresses:
            assert address.startswith("/"), f"{address} is not on this machine"
            assert client.get(address).status_code == 200
        assert client.get("/openapi.json").json()["info"]["title"] == "Voice Verify"


def test_answers_do_not_name_the_server(service: Service) -> None:
    with service.client("") as client:
        assert "server" not in client.get("/health/live").headers


def test_logs_are_json_without_keys_tickets_and_speakers(service: Service) -> None:
    with service.client() as client, service.stream() as stream:
        client.get(f"/api/v2/speakers/{ANNA}")
        client.get("/api/v2/speakers/secret-customer")
        ticket = stream.url.partition("ticket=")[2]
    lines = [json.loads(line) for line in service.log.splitlines()]
    assert {"time", "level", "message"} <= lines[0].keys()
    for secret in (*service.keys.values(), ticket, ANNA, "secret-customer"):
        assert secret not in service.log


def test_imports_a_key_by_its_hash_once(service: Service) -> None:
    secret = f"vv_{secrets.token_urlsafe(32)}"
    arguments = ["keys", "import", "--name", "imported", "--role", "viewer", "--sha256"]
    sha256 = hashlib.sha256(secret.encode()).hexdigest()
    first, second = (service.command(*arguments, sha256) for _ in range(2))
    assert first.returncode == second.returncode == 0
    assert "imported" in first.stdout
    assert "already" in second.stdout
    listed = service.command("keys", "list").stdout
    assert [json.loads(line)["name"] for line in listed.splitlines()].count("imported") == 1
    assert sha256 not in listed
    with service.client("", Authorization=f"Bearer {secret}") as client:
        assert client.get("/api/v2/speakers").status_code == 200
    refused = service.command(*arguments, "abc")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error:")


def test_a_key_made_on_the_command_line_is_shown_once_and_works(service: Service) -> None:
    made = service.command("keys", "create", "--name", "both", "--role", "viewer", "--role", "operator")
    assert made.returncode == 0, made.stderr
    (key,) = made.stdout.split()
    assert key not in service.command("keys", "list").stdout
    with service.client("", Authorization=f"Bearer {key}") as client:
        assert client.get("/api/v2/speakers").status_code == 200
    assert service.command("keys", "create", "--name", "nobody", "--role", "root").returncode == 2


def test_speakers_are_listed_in_pages_and_deleted(service: Service) -> None:
    with service.client() as client:
        whole = [item["speaker"] for item in client.get("/api/v2/speakers").json()["speakers"]]
        assert {ANNA} < set(whole)
        paged: list[str] = []
        after: str | None = None
        while True:
            page = client.get("/api/v2/speakers", params={"limit": 1} | ({"after": after} if after else {})).json()
            paged += [item["speaker"] for item in page["speakers"]]
            after = page["next"]
            if after is None:
                break
        assert paged == whole
        assert "embedding" not in client.get(f"/api/v2/speakers/{ANNA}").text


def test_is_not_ready_before_the_database_is_migrated(model_dir: Path, tmp_path: Path) -> None:
    service = Service(tmp_path, model_dir, f"sqlite:///{tmp_path}/empty.db")
    service.start()
    try:
        with service.client("", Authorization="Bearer vv_any") as client:
            answer = client.get("/health/ready")
            problem(client.get("/api/v2/streams"), 503, "database_unavailable")
            assert client.get("/health/live").status_code == 200
        assert answer.status_code == 503
        database = answer.json()["checks"][0]
        assert (database["name"], database["ok"]) == ("database", False)
        assert "voice-verify migrate" in database["problem"]
        service.command("migrate")
        with service.client("") as client:
            assert client.get("/health/ready").json()["status"] == "ready"
    finally:
        service.stop()


def test_refuses_to_start_with_a_damaged_model(model_dir: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "model"
    damaged.mkdir()
    for file in model_dir.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    (damaged / "silero_vad.onnx").write_bytes(b"damaged")
    ended = Service(tmp_path, damaged, f"sqlite:///{tmp_path}/vv.db").command("serve")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error:")
    assert "silero_vad.onnx" in ended.stderr


def test_names_a_wrong_setting(model_dir: Path, tmp_path: Path) -> None:
    ended = Service(tmp_path, model_dir, f"sqlite:///{tmp_path}/vv.db", max_streams=0).command("serve")
    assert ended.returncode == 1
    assert "VV_MAX_STREAMS" in ended.stderr


def test_reads_settings_from_a_file(start_service: StartService, tmp_path: Path) -> None:
    file = tmp_path / "voice-verify.env"
    file.write_text("VV_STREAM_IDLE_S=17\nVV_PUBLIC_WS_URL=wss://voiceverify.example.com\n")
    service = start_service(env_file=file)
    with service.client() as client:
        created = client.post("/api/v2/streams").json()
    assert created["idle_timeout_s"] == 17
    assert created["url"].startswith(f"wss://voiceverify.example.com/stream/{created['uuid']}?ticket=")


def test_who_asks_with_tls_is_to_send_audio_with_tls(start_service: StartService, tmp_path: Path) -> None:
    file = tmp_path / "voice-verify.env"
    file.write_text("VV_PUBLIC_WS_URL=ws://voiceverify.example.com\n")
    with start_service(env_file=file).client() as client:
        plain = client.post("/api/v2/streams").json()["url"]
        # As nginx says it, on loopback.
        secure = client.post("/api/v2/streams", headers={"X-Forwarded-Proto": "https"}).json()["url"]
    assert plain.startswith("ws://voiceverify.example.com/stream/")
    assert secure.startswith("wss://voiceverify.example.com/stream/")
