"""Properties become files, all or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from vv_setup import files, main
from vv_setup.environment import NAMESPACE, Environment

from vvctl.appliance import find_root, load

NETWORK = files.NETWORK.lstrip("/")


@pytest.fixture
def settings() -> dict[str, Any]:
    appliance = load(find_root(Path(__file__).parent) / "appliance.yml")
    return {
        "version": "1.0.0",
        "properties": [entry.model_dump() for entry in appliance.ovf.properties],
        "administrator": "admin",
        "authorized_keys_folder": "/etc/ssh/authorized_keys.d",
        "record_file": "/etc/voice-verify/setup.json",
        "operator_key_sha256_file": "/etc/voice-verify/operator-key.sha256",
    }


def given(**properties: str) -> Environment:
    entries = "".join(f'<Property oe:key="{key}" oe:value={quoteattr(value)}/>' for key, value in properties.items())
    text = f'<Environment xmlns="{NAMESPACE}" xmlns:oe="{NAMESPACE}">'
    return Environment(f"{text}<PropertySection>{entries}</PropertySection></Environment>", "a test")


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def test_static_address_is_written(tmp_path: Path, settings: dict[str, Any]) -> None:
    outcome = main.set_up(settings, given(address="192.0.2.10/24", gateway="192.0.2.1", dns="192.0.2.53"), tmp_path)
    assert outcome["state"] == "applied"
    lines = (tmp_path / NETWORK).read_text().splitlines()
    assert {"Address=192.0.2.10/24", "Gateway=192.0.2.1", "DNS=192.0.2.53"} <= set(lines)
    assert "DHCP=yes" not in lines
    assert "Virtualization=!container" in lines


def test_dhcp_with_own_name_servers_ignores_those_of_the_lease(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(dns="192.0.2.53"), tmp_path)
    lines = (tmp_path / NETWORK).read_text().splitlines()
    assert {"DHCP=yes", "DNS=192.0.2.53", "UseDNS=no"} <= set(lines)


def test_without_network_properties_the_default_of_the_image_stays(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(hostname="vv1"), tmp_path)
    assert not (tmp_path / NETWORK).exists()


def test_back_to_dhcp_removes_the_static_address(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(address="192.0.2.10/24"), tmp_path)
    main.set_up(settings, given(), tmp_path)
    assert not (tmp_path / NETWORK).exists()


def test_one_wrong_property_changes_nothing(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(hostname="before", address="192.0.2.10/24"), tmp_path)
    before = tree(tmp_path)
    outcome = main.set_up(settings, given(hostname="after", address="192.0.2.11"), tmp_path)
    assert outcome["state"] == "refused"
    assert len(outcome["problems"]) == 1
    assert outcome["values"]["hostname"] == "before"
    assert tree(tmp_path) == before


def test_wrong_properties_are_reported_at_every_boot(tmp_path: Path, settings: dict[str, Any]) -> None:
    for _ in range(2):
        assert main.set_up(settings, given(address="x"), tmp_path)["state"] == "refused"


def test_wrong_first_properties_give_a_machine_on_dhcp(tmp_path: Path, settings: dict[str, Any]) -> None:
    outcome = main.set_up(settings, given(address="x", ssh_key="y"), tmp_path)
    assert outcome["values"]["address"] == ""
    assert not (tmp_path / NETWORK).exists()
    assert (tmp_path / "etc/hostname").read_text() == "voiceverify\n"
    assert not (tmp_path / "etc/voice-verify/setup.json").exists()


def test_unreadable_environment_is_refused_like_a_wrong_property(tmp_path: Path, settings: dict[str, Any]) -> None:
    outcome = main.set_up(settings, Environment("<html/>", "a test"), tmp_path)
    assert outcome["state"] == "refused"
    assert "cannot be read" in outcome["problems"][0]


def test_same_properties_are_not_read_again(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(hostname="vv1"), tmp_path)
    (tmp_path / "etc/hostname").write_text("changed by the administrator\n")
    outcome = main.set_up(settings, given(hostname="vv1"), tmp_path)
    assert outcome["state"] == "unchanged"
    assert (tmp_path / "etc/hostname").read_text() == "changed by the administrator\n"


def test_new_version_reads_the_same_properties_again(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(hostname="vv1"), tmp_path)
    assert main.set_up({**settings, "version": "2.0.0"}, given(hostname="vv1"), tmp_path)["state"] == "applied"


def test_configuration_stays_when_the_disc_is_taken_out(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(address="192.0.2.10/24"), tmp_path)
    outcome = main.set_up(settings, None, tmp_path)
    assert outcome["state"] == "none"
    assert outcome["values"]["address"] == "192.0.2.10/24"
    assert (tmp_path / NETWORK).exists()


def test_interrupted_work_is_done_again(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(hostname="vv1", address="192.0.2.10/24"), tmp_path)
    complete = tree(tmp_path)
    (tmp_path / "etc/voice-verify/setup.json").unlink()
    (tmp_path / "etc/hosts").unlink()
    main.set_up(settings, given(hostname="vv1", address="192.0.2.10/24"), tmp_path)
    assert tree(tmp_path) == complete


def test_damaged_record_is_like_none(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(hostname="vv1"), tmp_path)
    (tmp_path / "etc/voice-verify/setup.json").write_text("{torn")
    assert main.set_up(settings, given(hostname="vv1"), tmp_path)["state"] == "applied"


def test_record_is_for_root_only(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(hostname="vv1"), tmp_path)
    record = tmp_path / "etc/voice-verify/setup.json"
    assert record.stat().st_mode & 0o777 == 0o600
    assert json.loads(record.read_text())["values"]["hostname"] == "vv1"


def test_web_hosts_of_the_domain_are_known_on_the_machine(tmp_path: Path, settings: dict[str, Any]) -> None:
    main.set_up(settings, given(hostname="voiceverify", domain="example.org"), tmp_path)
    line = next(line for line in (tmp_path / "etc/hosts").read_text().splitlines() if line.startswith("127.0.1.1"))
    assert line.split()[1:] == ["voiceverify.example.org", "voiceverify", "kibana.example.org", "grafana.example.org"]


def test_refusal_is_told_with_what_stays_in_force(tmp_path: Path, settings: dict[str, Any]) -> None:
    lines = main.report(main.set_up(settings, given(address="x"), tmp_path))
    assert any("address = 'x'" in line for line in lines)
    assert any("DHCP" in line for line in lines)
