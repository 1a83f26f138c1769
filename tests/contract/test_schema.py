"""The OpenAPI schema tells the truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .running import Service

# It changes and deletes what it finds, so it has a service of its own.
SECONDS = 12
ROUTES = {
    "/api/v2/enroll": {"post"},
    "/api/v2/verify": {"post"},
    "/api/v2/streams": {"get", "post"},
    "/api/v2/streams/{uuid}": {"get", "delete"},
    "/api/v2/streams/{uuid}/enroll": {"get", "post"},
    "/api/v2/streams/{uuid}/verify": {"post"},
    "/api/v2/speakers": {"get"},
    "/api/v2/speakers/{speaker}": {"get", "delete"},
    "/health/live": {"get"},
    "/health/ready": {"get"},
}


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


def test_schemathesis_finds_no_crash_and_no_undocumented_answer(fresh: Service, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            f"{fresh.url}/openapi.json",
            f"--header=Authorization: Bearer {fresh.keys['integrator']}",
            f"--max-time={SECONDS}",
            "--max-examples=20",
            "--seed=1",
            "--continue-on-failure",
            "--no-color",
            # What is sent as a recording is well formed for the schema and still no recording.
            "--exclude-checks=positive_data_acceptance",
            # It asks for speakers and streams that do not exist, as it should.
            "--warnings=off",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS + 60,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "14 selected / 14 total" in done.stdout
    assert '"incident"' not in fresh.log


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
