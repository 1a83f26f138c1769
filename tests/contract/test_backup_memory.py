"""Export and import take no more memory for more voiceprints."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from voice_verify.services import snapshot_file
from voice_verify.services.records import SpeakerRecord
from voice_verify.services.spool import packed

from .running import Service

FEW, MANY = 1000, 20_000
# Held as rows or text, the many would take more than 60 MB.
GROWTH_MB = 20
MODEL = "0" * 64


def _voiceprints(count: int) -> Iterator[SpeakerRecord]:
    now = datetime.now(UTC)
    random = np.random.default_rng(1)
    for number in range(count):
        embedding = random.normal(size=192).astype("<f4")
        yield SpeakerRecord(
            speaker=f"customer-{number}",
            pseudonym=secrets.token_hex(16),
            created=now,
            updated=now,
            consent_given=now,
            consent_reference="contract",
            opted_out=None,
            expires=None,
            model=MODEL,
            net_speech_s=20.0,
            snr_db=None,
            clipped_share=0.0,
            takes=1,
            embedding=(embedding / np.linalg.norm(embedding)).tobytes(),
        )


def _round_trip(service: Service, count: int) -> None:
    file = io.BytesIO()
    with packed(file) as content:
        snapshot_file.write(content, snapshot_file.Header(created=datetime.now(UTC), model=MODEL), _voiceprints(count))
    with service.client("operator") as client:
        loaded = client.post("/api/v2/snapshot/import", content=file.getvalue()).raise_for_status()
        assert loaded.json()["restored"] == count
        client.get("/api/v2/snapshot/export").raise_for_status()
        backup = client.post("/api/v2/maintenance/backup").raise_for_status().content
        restored = client.post("/api/v2/maintenance/loadbackup", content=backup).raise_for_status()
        assert restored.json()["restored"] == count


def test_memory_does_not_grow_with_the_voiceprints(
    database: Callable[[str], str], model_dir: Path, tmp_path: Path
) -> None:
    service = Service(tmp_path, model_dir, database("memory"))
    service.prepare("operator")
    service.start()
    try:
        with service.client("operator") as client:
            client.post("/api/v2/maintenance/lock").raise_for_status()
        _round_trip(service, FEW)
        before = service.peak_memory_mb
        _round_trip(service, MANY)
        assert service.peak_memory_mb - before < GROWTH_MB
    finally:
        service.stop()
