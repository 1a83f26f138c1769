"""The OpenAPI schema tells the truth.

CI gives each look at the whole interface 20 s; VV_SCHEMA_SECONDS=300 looks longer.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .running import Service
from .speech import ANNA, ENROLMENT, samples, wav

SECONDS = int(os.environ.get("VV_SCHEMA_SECONDS", "20"))
ROUTES = {
    "/api/v2/enroll": {"post"},
    "/api/v2/verify": {"post"},
    "/api/v2/streams": {"get", "post"},
    "/api/v2/streams/{uuid}": {"get", "delete"},
    "/api/v2/streams/{uuid}/enroll": {"get", "post"},
    "/api/v2/streams/{uuid}/verify": {"post"},
    "/api/v2/speakers": {"get"},
    "/api/v2/speakers/{speaker}": {"get", "patch", "delete"},
    "/api/v2/keys": {"get", "post"},
    "/api/v2/keys/{key}": {"delete"},
    "/api/v2/lock": {"get", "post"},
    "/api/v2/maintenance": {"get"},
    "/api/v2/maintenance/inventory": {"get"},
    "/api/v2/maintenance/lock": {"get", "post"},
    "/api/v2/maintenance/unlock": {"get", "post"},
    "/api/v2/maintenance/force_off": {"post"},
    "/api/v2/maintenance/backup": {"post"},
    "/api/v2/maintenance/loadbackup": {"post"},
    "/api/v2/maintenance/asp": {"get", "post"},
    "/api/v2/maintenance/asp/active": {"get"},
    "/api/v2/maintenance/asp/{uuid}": {"get", "delete"},
    "/api/v2/maintenance/asp/{uuid}/active": {"post"},
    "/api/v2/maintenance/load_asp/{name}": {"post"},
    "/api/v2/snapshot/export": {"get"},
    "/api/v2/snapshot/import": {"post"},
    "/api/v2/logging_aggregate": {"get"},
    "/api/v2/licence": {"get", "put"},
    "/api/v2/media/secrets": {"get"},
    "/api/v2/media/secrets/{protocol}/{name}": {"put", "delete"},
    "/api/v2/pbx": {"get", "post"},
    "/api/v2/pbx/{uuid}": {"get", "put", "delete"},
    "/api/v2/reports": {"get"},
    "/api/v2/reports/{uuid}": {"get"},
    "/health/live": {"get"},
    "/health/ready": {"get"},
}
EXAMPLE = "customer-4711"
EVERY_ROLE = ("integrator", "operator", "billing")
# What succeeds with real speech only, with an exported or signed file, in maintenance mode; and paths to nowhere.
NEVER_BY_CHANCE = {"enroll", "load_backup", "import_snapshot", "make_backup", "put_licence", "none"}
# What takes the service away from everybody else, so that little else would be seen after it.
TAKES_AWAY = "^(POST|GET) /api/v2/(maintenance/)?(lock|force_off)$|^DELETE /api/v2/keys"


@pytest.fixture
def schema(service: Service) -> dict[str, Any]:
    with service.client("") as client:
        return client.get("/openapi.json").json()


def test_has_the_promised_operations(schema: dict[str, Any]) -> None:
    assert {path: set(operations) for path, operations in schema["paths"].items()} == ROUTES


def test_everything_has_examples_and_documented_refusals(schema: dict[str, Any]) -> None:
    documents = schema["components"]["schemas"]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            answers = operation["responses"]
            if path.startswith("/api"):
                assert operation["security"] == [{"HTTPBearer": []}], path
                assert {"401", "403", "503"} <= answers.keys(), path
            for status, answer in answers.items():
                for media_type, content in answer.get("content", {}).items():
                    assert (media_type == "application/problem+json") == (
                        int(status) >= 400 and not path.startswith("/health")
                    ), (path, method, status)
                    assert "examples" in content or _has_examples(documents, content["schema"]["$ref"]), (path, status)


@pytest.mark.parametrize(
    "selection",
    [pytest.param([f"--exclude-name-regex={TAKES_AWAY}"], id="open"), pytest.param([], id="may be locked")],
)
def test_schemathesis_finds_no_crash_and_no_undocumented_answer(
    fresh: Service, tmp_path: Path, selection: list[str]
) -> None:
    # The examples in the schema speak of this one.
    fresh.enrol(EXAMPLE, wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    made = fresh.command("keys", "create", "--name=all", *(f"--role={role}" for role in EVERY_ROLE))
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            f"--config-file={Path(__file__).with_name('schemathesis.toml')}",
            "run",
            f"{fresh.url}/openapi.json",
            f"--header=Authorization: Bearer {made.stdout.strip()}",
            f"--max-time={SECONDS}",
            "--seed=1",
            "--continue-on-failure",
            "--no-color",
            *selection,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS + 60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert '"incident"' not in fresh.log
    if selection:
        assert _operations(fresh) - _operations(fresh, status="2..") <= NEVER_BY_CHANCE


def _operations(service: Service, status: str = "...") -> set[str]:
    """The names of the operations that gave an answer of that status."""
    with service.client("") as client:
        text = client.get("/metrics").text
    return set(re.findall(rf'^vv_http_requests_total{{operation="(\w+)",status="{status}"', text, re.MULTILINE))


def _has_examples(documents: dict[str, Any], reference: str) -> bool:
    """Whether each plain member of the document, and of those inside it, shows an example."""
    document = documents[reference.rpartition("/")[2]]
    for member in document.get("properties", {}).values():
        inner = member.get("$ref") or member.get("items", {}).get("$ref")
        if inner:
            if not _has_examples(documents, inner):
                return False
        elif "examples" not in member and "default" not in member and member.get("type") != "array":
            return False
    return True
