"""Audio Source Profiles: uploaded, activated, and in force at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from voice_verify.engine import packaged_profile

from .running import Service, problem, until
from .speech import ANNA, ENROLMENT, TEST, samples, wav

PATH = "/api/v2/maintenance/asp"
MIXED = packaged_profile("mixed")


@pytest.fixture
def service(administered: Service) -> Iterator[Service]:
    """With no uploaded profile before and after each test."""
    yield administered
    with administered.client("operator") as operator:
        operator.post(f"{PATH}/{MIXED.uuid}/active").raise_for_status()
        for profile in operator.get(PATH).json()["profiles"]:
            if profile["origin"] == "uploaded":
                operator.delete(f"{PATH}/{profile['uuid']}").raise_for_status()


def test_the_packaged_profile_applies_until_another_is_active(service: Service) -> None:
    with service.client("viewer") as viewer:
        listed = viewer.get(f"{PATH}/").json()["profiles"]
        active = viewer.get(f"{PATH}/active").json()
    assert {item["name"]: item["active"] for item in listed} == {
        "g711-clean": False,
        "mixed": True,
        "mobile-noisy": False,
    }
    assert (active["uuid"], active["origin"], active["thresholds"]["verified"]) == (
        str(MIXED.uuid),
        "packaged",
        4.59512,
    )
    assert "wccn" not in active


def test_an_uploaded_profile_decides_on_running_streams_at_once(service: Service) -> None:
    service.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    with service.client("operator") as operator, service.stream() as stream:
        stream.send(samples(ANNA, TEST, 8))
        until(lambda: stream.post("verify", ANNA).json()["decision"] == "verified")
        strict = _profile("strict", thresholds={"verified": 900.0, "not_verified": -900.0})
        uploaded = operator.post(f"{PATH}/", json=strict)
        assert uploaded.status_code == 201, uploaded.text
        assert (uploaded.json()["origin"], uploaded.json()["active"], uploaded.json()["problem"]) == (
            "uploaded",
            False,
            None,
        )
        assert stream.post("verify", ANNA).json()["profile"] == "mixed"
        assert operator.post(f"{PATH}/{strict['uuid']}/active").json()["active"] is True
        answer = stream.post("verify", ANNA).json()
        assert (answer["profile"], answer["decision"], answer["reason"]) == ("strict", "not_sure", "ok")
        operator.post(f"{PATH}/{strict['uuid']}/active", json={"active": False}).raise_for_status()
        assert stream.post("verify", ANNA).json()["decision"] == "verified"


def test_the_choice_survives_a_kill(service: Service) -> None:
    profile = _profile("kept")
    with service.client("operator") as operator:
        operator.post(PATH, json=profile).raise_for_status()
        for chosen, path in ((profile["uuid"], f"{PATH}/{profile['uuid']}/active"), (None, _load("g711-clean"))):
            operator.post(path).raise_for_status()
            service.stop(signal.SIGKILL)
            service.start()
            active = operator.get(f"{PATH}/active").json()
            assert active["uuid"] == (chosen or str(packaged_profile("g711-clean").uuid))


def test_the_active_profile_and_packaged_ones_cannot_be_removed(service: Service) -> None:
    profile = _profile("mine")
    path = f"{PATH}/{profile['uuid']}"
    with service.client("operator") as operator:
        operator.post(PATH, json=profile).raise_for_status()
        operator.post(f"{path}/active").raise_for_status()
        problem(operator.delete(path), 409, "profile_active")
        problem(operator.delete(f"{PATH}/{MIXED.uuid}"), 409, "profile_packaged")
        operator.post(f"{PATH}/{MIXED.uuid}/active").raise_for_status()
        assert operator.get(path).json()["active"] is False
        assert operator.delete(path).status_code == 204
        problem(operator.get(path), 404, "profile_not_found")
        problem(operator.post(f"{path}/active"), 404, "profile_not_found")


def test_loads_the_highest_uploaded_version_of_a_name_else_the_packaged_one(service: Service) -> None:
    with service.client("operator") as operator:
        assert operator.post(_load("mobile-noisy")).json()["origin"] == "packaged"
        for version in (2, 7, 3):
            operator.post(PATH, json=_profile("mobile-noisy", version=version)).raise_for_status()
        loaded = operator.post(f"{_load('mobile-noisy')}/").json()
        assert (loaded["origin"], loaded["version"], loaded["active"]) == ("uploaded", 7, True)
        problem(operator.post(_load("unheard-of")), 404, "profile_not_found")


def test_a_profile_is_added_once(service: Service) -> None:
    profile = _profile("once")
    with service.client("operator") as operator:
        operator.post(PATH, json=profile).raise_for_status()
        for again in (
            profile,
            {**profile, "version": 2},
            {**profile, "uuid": str(uuid4())},
            _profile("other", uuid=str(MIXED.uuid)),
            _profile("mixed"),
        ):
            problem(operator.post(PATH, json=again), 409, "profile_exists")


def test_a_profile_for_another_model_is_kept_and_says_why_it_cannot_be_active(service: Service) -> None:
    foreign = _profile("foreign", model_identity="f" * 64)
    with service.client("operator") as operator:
        assert "another" not in operator.post(PATH, json=foreign).json()["problem"]
        refused = problem(operator.post(f"{PATH}/{foreign['uuid']}/active"), 409, "profile_model_mismatch")
        assert "f" * 12 in refused["detail"]
        assert operator.get(f"{PATH}/active").json()["name"] == "mixed"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"thresholds": {"verified": 1, "not_verified": 2}}, "body.thresholds"),
        ({"a": "much"}, "body.a"),
        ({"a": 1e300}, "body.a"),
        ({"name": "No Name"}, "body.name"),
        ({"version": 2**31}, "body.version"),
        ({"surprise": 1}, "body.surprise"),
        ({"mean": [0.0] * 191}, "body"),
        ({"mean": [None] * 192}, "body.mean"),
        ({"mean": [10**400] * 192}, "body.mean"),
        ({"wccn": [[0.0] * 192] * 192}, "body"),
        ({"wccn": [[1e30] * 192] * 192}, "body.wccn"),
        ({"mean": [0.0] * 2, "wccn": [[1.0, 0.0], [0.0, 1.0]]}, "body.mean"),
        ({"a": -1.0}, "body"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_names_what_is_wrong_with_a_profile(service: Service, change: dict[str, Any], field: str) -> None:
    with service.client("operator") as operator:
        refused = problem(operator.post(PATH, json=_profile("wrong") | change), 422, "invalid_request")
    assert field in {item["field"] for item in refused["errors"]}, refused


def test_only_operators_change_profiles(service: Service) -> None:
    with service.client("viewer") as viewer:
        for answer in (
            viewer.post(PATH, json=_profile("no")),
            viewer.post(f"{PATH}/{MIXED.uuid}/active"),
            viewer.post(_load("mixed")),
            viewer.delete(f"{PATH}/{MIXED.uuid}"),
        ):
            problem(answer, 403, "forbidden")


def test_another_process_decides_by_the_new_profile_within_a_second(service: Service, sibling: Service) -> None:
    with service.client("operator") as here:
        profiles = [_profile(f"racing-{number}") for number in range(4)]
        for profile in profiles:
            here.post(PATH, json=profile).raise_for_status()
        with ThreadPoolExecutor() as pool:
            paths = [f"{one.url}{PATH}/{item['uuid']}/active" for item in profiles for one in (service, sibling)]
            answers = list(pool.map(here.post, paths))
        assert {answer.status_code for answer in answers} == {200}
        active = [item["uuid"] for item in here.get(PATH).json()["profiles"] if item["active"]]
        assert len(active) == 1
        until(lambda: here.get(f"{sibling.url}{PATH}/active").json()["uuid"] == _active(service, here))


def _active(service: Service, client: Any) -> str:
    return str(client.get(f"{service.url}{PATH}/active").json()["uuid"])


def _load(name: str) -> str:
    return f"/api/v2/maintenance/load_asp/{name}"


def _profile(name: str, **changes: Any) -> dict[str, Any]:
    """The packaged profile `mixed` with its arrays, under another name and uuid."""
    return {**MIXED.model_dump(mode="json"), "name": name, "uuid": str(uuid4()), **changes}
