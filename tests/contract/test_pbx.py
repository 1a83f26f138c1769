"""PBX instances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from voice_verify.store import Database
from voice_verify.store.models import PbxRow
from vvctl.appliance import find_root, load

from .running import Service, problem

PATH = "/api/v2/pbx"
APPLIANCE = load(find_root(Path(__file__).parent) / "appliance.yml")


def test_is_added_listed_changed_and_removed(service: Service) -> None:
    with service.client("operator") as operator:
        added = operator.post(f"{PATH}/", json=_pbx("Branch Lyon", transport="tls"))
        assert added.status_code == 201, added.text
        lyon = added.json()
        assert (lyon["port"], lyon["registration"]) == (
            APPLIANCE.port("sips").first,
            {"state": "not_registered", "since": None, "until": None, "last_error": None},
        )
        assert lyon["running_calls"] == 0
        assert lyon in operator.get(PATH).json()["pbx"]
        path = f"{PATH}/{lyon['uuid']}"
        changed = operator.put(path, json=_pbx("Branch Lyon", host="2001:db8::7", port=5080)).json()
        assert (changed["host"], changed["port"], changed["transport"]) == ("2001:db8::7", 5080, "udp")
        assert changed["updated"] > changed["created"] == lyon["created"]
        assert operator.get(path).json() == changed
        assert operator.delete(path).status_code == 204
        for answer in (operator.get(path), operator.delete(path), operator.put(path, json=_pbx("Gone"))):
            problem(answer, 404, "pbx_not_found")


def test_the_password_is_encrypted_never_shown_and_kept_by_a_change_without_one(service: Service) -> None:
    with service.client("operator") as operator:
        added = operator.post(PATH, json=_pbx("Secret", username="vv") | {"password": "correct horse"})
        path = f"{PATH}/{added.json()['uuid']}"
        stored = _stored_password(service, "Secret")
        assert stored
        assert b"correct horse" not in stored
        kept = operator.put(path, json=_pbx("Secret", username="other"))
        assert kept.json()["has_password"] is True
        assert _stored_password(service, "Secret") == stored
        changed = operator.put(path, json=_pbx("Secret", username="vv") | {"password": "battery staple"})
        assert _stored_password(service, "Secret") not in (None, stored)
        assert operator.put(path, json=_pbx("Secret")).json()["has_password"] is False
        assert _stored_password(service, "Secret") is None
        for answer in (added, kept, changed, operator.get(path)):
            assert "horse" not in answer.text
            assert '"password"' not in answer.text
        operator.delete(path).raise_for_status()
    assert "horse" not in service.log


def test_a_name_is_taken_once(service: Service) -> None:
    with service.client("operator") as operator:
        one, two = (operator.post(PATH, json=_pbx(name)).json() for name in ("One", "Two"))
        problem(operator.post(PATH, json=_pbx("One")), 409, "pbx_exists")
        problem(operator.put(f"{PATH}/{two['uuid']}", json=_pbx("One")), 409, "pbx_exists")
        for item in (one, two):
            operator.delete(f"{PATH}/{item['uuid']}").raise_for_status()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"host": "-pbx.example.com"}, "host"),
        ({"host": "10.0.0"}, "host"),
        ({"host": "[2001:db8::7]"}, "host"),
        ({"host": "pbx example"}, "host"),
        ({"host": "a" * 64 + ".com"}, "host"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"transport": "sctp"}, "transport"),
        ({"name": "\x00"}, "name"),
        ({"username": "a\nb"}, "username"),
    ],
)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_names_what_is_wrong(service: Service, change: dict[str, Any], field: str) -> None:
    with service.client("operator") as operator:
        refused = problem(operator.post(PATH, json=_pbx("Wrong") | change), 422, "invalid_request")
    assert [item["field"] for item in refused["errors"]] == [f"body.{field}"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_integrators_see_no_pbx_and_viewers_change_none(service: Service) -> None:
    with service.client("integrator") as integrator, service.client("viewer") as viewer:
        problem(integrator.get(PATH), 403, "forbidden")
        assert viewer.get(PATH).status_code == 200
        problem(viewer.post(PATH, json=_pbx("No")), 403, "forbidden")


def _pbx(name: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "host": "pbx.example.com", **members}


def _stored_password(service: Service, name: str) -> bytes | None:
    database = Database(service.environment["VV_DATABASE_URL"])
    with database.reading() as session:
        found = session.scalars(select(PbxRow.password).where(PbxRow.name == name)).one()
    database.close()
    return found
