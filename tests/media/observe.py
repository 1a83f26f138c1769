"""What the service says about its calls."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.contract.running import Service, until

DECIDE_S = 25


def streams(service: Service) -> dict[str, dict[str, Any]]:
    """The running streams by uuid."""
    with service.client() as client:
        return {item["uuid"]: item for item in client.get("/api/v2/streams").raise_for_status().json()["streams"]}


def wait_for(service: Service, uuid: str) -> dict[str, Any]:
    """The stream of that uuid, once it runs."""
    until(lambda: uuid in streams(service))
    return streams(service)[uuid]


def the_only(service: Service) -> tuple[str, dict[str, Any]]:
    """The one stream that runs, once it does, and its uuid."""
    until(lambda: bool(streams(service)))
    (found,) = streams(service).items()
    return found


def until_none(service: Service) -> None:
    """Wait until no stream runs."""
    until(lambda: not streams(service))


def decide(service: Service, uuid: str, claimed: str) -> dict[str, Any]:
    """Ask about a running stream until its speech is enough for a decision; returns the last answer."""
    deadline = time.monotonic() + DECIDE_S
    with service.client() as client:
        while True:
            answer = client.post(f"/api/v2/streams/{uuid}/verify", json={"speaker": claimed}).raise_for_status()
            decision: dict[str, Any] = answer.json()
            if decision["decision"] != "not_sure" or decision["reason"] == "stream_closed":
                return decision
            assert time.monotonic() < deadline, decision
            time.sleep(0.2)


def report(service: Service, uuid: str) -> dict[str, Any]:
    """What happened on a stream that has ended."""
    with service.client("viewer") as client:
        until(lambda: client.get(f"/api/v2/reports/{uuid}").status_code == 200)
        document: dict[str, Any] = client.get(f"/api/v2/reports/{uuid}").json()
        return document


def metrics(service: Service) -> dict[str, float]:
    """The figures of the telephony process by name and labels: `name{kind}`."""
    with service.client("viewer") as client:
        text = client.get("/metrics").raise_for_status().text
    return {
        sample.name + (f"{{{','.join(sample.labels.values())}}}" if sample.labels else ""): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "telephony" in sample.name
    }
