"""Properties become files, all or none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from vv_setup import network, report
from vv_setup.apply import NOBODY, set_up
from vv_setup.environment import Environment, Interface
from vv_setup.userdata import parse

from vvctl.appliance import Appliance
from vvctl.aws_template.resources import resources

from .certificates import Certificates

NETWORK = network.PATH.lstrip("/")
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f admin@example.org"
RECORD = "etc/voice-verify/setup.json"
OVERRIDES = "etc/voice-verify/set-here.json"


def given(**properties: str) -> Environment:
    return Environment("a test", properties)


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def test_static_address_is_written(tmp_path: Path, settings: dict[str, Any]) -> None:
    outcome = set_up(settings, given(address="192.0.2.10/24", gateway="192.0.2.1", dns="192.0.2.53"), tmp_path)
    assert outcome["state"] == "applied"
    lines = (tmp_path / NETWORK).read_text().splitlines()
    assert {"Address=192.0.2.10/24", "Gateway=192.0.2.1", "DNS=192.0.2.53"} <= set(lines)
    assert "DHCP=yes" not in lines
    assert "Virtualization=!container" in lines


def test_dhcp_with_own_name_servers_ignores_those_of_the_lease(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(dns="192.0.2.53"), tmp_path)
    lines = (tmp_path / NETWORK).read_text().splitlines()
    assert {"DHCP=yes", "DNS=192.0.2.53", "UseDNS=no"} <= set(lines)


def test_without_network_properties_the_default_of_the_image_stays(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(hostname="vv1"), tmp_path)
    assert not (tmp_path / NETWORK).exists()


def test_back_to_dhcp_removes_the_static_address(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(address="192.0.2.10/24"), tmp_path)
    set_up(settings, given(), tmp_path)
    assert not (tmp_path / NETWORK).exists()


def test_one_wrong_property_changes_nothing(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(hostname="before", address="192.0.2.10/24"), tmp_path)
    before = tree(tmp_path)
    outcome = set_up(settings, given(hostname="after", address="192.0.2.11"), tmp_path)
    assert outcome["state"] == "refused"
    assert len(outcome["problems"]) == 1
    assert outcome["values"]["hostname"] == "before"
    assert tree(tmp_path) == before


def test_wrong_properties_are_reported_at_every_boot(tmp_path: Path, settings: dict[str, Any]) -> None:
    for _ in range(2):
        assert set_up(settings, given(address="x"), tmp_path)["state"] == "refused"


def test_wrong_first_properties_give_a_machine_on_dhcp(tmp_path: Path, settings: dict[str, Any]) -> None:
    outcome = set_up(settings, given(address="x", ssh_key="y"), tmp_path)
    assert outcome["values"]["address"] == ""
    assert not (tmp_path / NETWORK).exists()
    assert (tmp_path / "etc/hostname").read_text() == "voiceverify\n"
    assert not (tmp_path / RECORD).exists()


def test_unreadable_source_is_refused_like_a_wrong_property(tmp_path: Path, settings: dict[str, Any]) -> None:
    outcome = set_up(settings, Environment("a test", problem="it cannot be read"), tmp_path)
    assert (outcome["state"], outcome["problems"]) == ("refused", ["it cannot be read"])


def test_same_properties_are_not_read_again(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(hostname="vv1"), tmp_path)
    (tmp_path / "etc/hostname").write_text("changed by the administrator\n")
    outcome = set_up(settings, given(hostname="vv1"), tmp_path)
    assert outcome["state"] == "unchanged"
    assert (tmp_path / "etc/hostname").read_text() == "changed by the administrator\n"


def test_new_version_reads_the_same_properties_again(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(hostname="vv1"), tmp_path)
    assert set_up({**settings, "version": "2.0.0"}, given(hostname="vv1"), tmp_path)["state"] == "applied"


def test_configuration_stays_when_the_disc_is_taken_out(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(address="192.0.2.10/24"), tmp_path)
    outcome = set_up(settings, None, tmp_path)
    assert (outcome["state"], outcome["source"]) == ("kept", "a test")
    assert outcome["values"]["address"] == "192.0.2.10/24"
    assert (tmp_path / NETWORK).exists()


def test_interrupted_work_is_done_again(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(hostname="vv1", address="192.0.2.10/24"), tmp_path)
    complete = tree(tmp_path)
    (tmp_path / RECORD).unlink()
    (tmp_path / "etc/hosts").unlink()
    set_up(settings, given(hostname="vv1", address="192.0.2.10/24"), tmp_path)
    assert tree(tmp_path) == complete


def test_damaged_record_is_like_none(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(hostname="vv1"), tmp_path)
    (tmp_path / RECORD).write_text("{torn")
    assert set_up(settings, given(hostname="vv1"), tmp_path)["state"] == "applied"


def test_record_is_for_root_only(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(hostname="vv1"), tmp_path)
    record = tmp_path / RECORD
    assert record.stat().st_mode & 0o777 == 0o600
    assert json.loads(record.read_text())["values"]["hostname"] == "vv1"


def test_web_hosts_of_the_domain_are_known_on_the_machine(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(hostname="voiceverify", domain="example.org"), tmp_path)
    line = next(line for line in (tmp_path / "etc/hosts").read_text().splitlines() if line.startswith("127.0.1.1"))
    assert line.split()[1:] == ["voiceverify.example.org", "voiceverify", "kibana.example.org", "grafana.example.org"]


def test_refusal_is_told_with_what_stays_in_force(tmp_path: Path, settings: dict[str, Any]) -> None:
    lines = report.outcome(set_up(settings, given(address="x"), tmp_path))
    assert any("address = 'x'" in line for line in lines)
    assert any("DHCP" in line for line in lines)


def test_machine_without_any_source_has_the_defaults(tmp_path: Path, settings: dict[str, Any]) -> None:
    outcome = set_up(settings, None, tmp_path)
    assert outcome["state"] == "none"
    assert outcome["values"]["hostname"] == "voiceverify"
    assert not (tmp_path / NETWORK).exists()


def test_firewall_is_told_who_may_connect(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(ssh_sources="192.0.2.0/24, 198.51.100.7", call_sources="203.0.113.0/24"), tmp_path)
    assert json.loads((tmp_path / "etc/voice-verify/access.json").read_text()) == {
        "sources": {
            "ssh_sources": ["192.0.2.0/24", "198.51.100.7/32"],
            "web_sources": [],
            "call_sources": ["203.0.113.0/24"],
            "audiosocket_peers": [],
        },
        "plain_ports": "open",
    }


def test_certificate_is_left_for_root_only_and_goes_with_its_property(
    tmp_path: Path, settings: dict[str, Any], certificates: Certificates
) -> None:
    path = tmp_path / "etc/voice-verify/certificate.pem"
    set_up(settings, given(certificate=certificates.with_key), tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == certificates.with_key
    set_up(settings, given(), tmp_path)
    assert not path.exists()


def test_refused_first_boot_lets_in_the_administrator_only(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(ssh_key=SSH_KEY, ssh_sources="192.0.2.0/24", domain="example.org", gateway="x"), tmp_path)
    assert SSH_KEY in (tmp_path / "etc/ssh/authorized_keys.d/admin").read_text()
    sources = json.loads((tmp_path / "etc/voice-verify/access.json").read_text())["sources"]
    assert sources == {
        "ssh_sources": ["192.0.2.0/24"],
        "web_sources": [NOBODY],
        "call_sources": [NOBODY],
        "audiosocket_peers": [],
    }
    assert not (tmp_path / NETWORK).exists()
    assert not (tmp_path / RECORD).exists()


def test_ssh_stays_shut_when_its_sources_are_what_is_wrong(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(ssh_key=SSH_KEY, ssh_sources="192.0.2.1/24"), tmp_path)
    assert not (tmp_path / "etc/ssh/authorized_keys.d/admin").exists()


def test_source_that_needs_the_network_leaves_everything_shut_until_then(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    outcome = set_up(settings, Environment("EC2 user data", pending=True, assigns_addresses=True), tmp_path)
    assert (outcome["state"], outcome["problems"]) == ("pending", [])
    assert NOBODY in (tmp_path / "etc/voice-verify/access.json").read_text()
    assert not (tmp_path / RECORD).exists()


def test_later_boot_keeps_the_configuration_until_the_network_is_there(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    cloud = Environment("EC2 user data", {"hostname": "vv1"}, assigns_addresses=True)
    set_up(settings, cloud, tmp_path)
    before = tree(tmp_path)
    pending = set_up(settings, Environment("EC2 user data", pending=True, assigns_addresses=True), tmp_path)
    assert (pending["state"], pending["values"]["hostname"]) == ("pending", "vv1")
    assert tree(tmp_path) == before
    assert set_up(settings, cloud, tmp_path)["state"] == "unchanged"


def test_what_the_platform_knows_holds_unless_it_is_given(tmp_path: Path, settings: dict[str, Any]) -> None:
    knows = {"hostname": "node7", "ntp": "169.254.169.123"}
    outcome = set_up(settings, Environment("a test", {"hostname": "vv1", "ntp": " "}, knows), tmp_path)
    assert (outcome["values"]["hostname"], outcome["values"]["ntp"]) == ("vv1", "169.254.169.123")


def test_second_network_card_answers_by_itself(tmp_path: Path, settings: dict[str, Any]) -> None:
    card = Interface(1, "0e:00:00:00:00:01", ("10.0.1.20", "10.0.1.21"))
    path = tmp_path / "etc/systemd/network/05-voice-verify-1.network"
    set_up(settings, Environment("a test", interfaces=(card,)), tmp_path)
    lines = path.read_text().splitlines()
    assert {"MACAddress=0e:00:00:00:00:01", "RouteTable=101", "From=10.0.1.20", "From=10.0.1.21"} <= set(lines)
    assert lines.count("Table=101") == 2
    set_up(settings, given(), tmp_path)
    assert not path.exists()


def test_what_is_set_here_wins_and_stays(tmp_path: Path, settings: dict[str, Any]) -> None:
    wrong = given(address="192.0.2.10/24", gateway="198.51.100.1", hostname="vv1")
    assert set_up(settings, wrong, tmp_path)["state"] == "refused"
    assert set_up(settings, wrong, tmp_path, {"gateway": "192.0.2.1"})["state"] == "applied"
    assert "Gateway=192.0.2.1" in (tmp_path / NETWORK).read_text()
    assert (tmp_path / OVERRIDES).stat().st_mode & 0o777 == 0o600
    again = set_up(settings, wrong, tmp_path)
    assert (again["state"], again["overrides"]) == ("unchanged", ["gateway"])


def test_empty_value_set_here_hides_the_sources(tmp_path: Path, settings: dict[str, Any]) -> None:
    source = Environment("a test", {"dns": "192.0.2.53"}, {"ntp": "169.254.169.123"})
    values = set_up(settings, source, tmp_path, {"dns": "", "ntp": ""})["values"]
    assert (values["dns"], values["ntp"]) == ("", "")


def test_unset_brings_the_source_back(tmp_path: Path, settings: dict[str, Any]) -> None:
    source = given(hostname="vv1")
    set_up(settings, source, tmp_path, {"hostname": "vv2"})
    assert set_up(settings, source, tmp_path, {})["values"]["hostname"] == "vv1"
    assert not (tmp_path / OVERRIDES).exists()


def test_what_is_set_here_holds_on_a_machine_without_a_source(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, None, tmp_path, {"address": "192.0.2.10/24"})
    outcome = set_up(settings, None, tmp_path)
    assert (outcome["state"], outcome["values"]["address"]) == ("kept", "192.0.2.10/24")


def test_damaged_file_of_what_was_set_here_changes_nothing(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, given(hostname="vv1"), tmp_path, {"address": "192.0.2.10/24"})
    (tmp_path / OVERRIDES).write_text("{torn")
    outcome = set_up(settings, given(hostname="vv2"), tmp_path)
    assert (outcome["state"], outcome["values"]["address"]) == ("refused", "192.0.2.10/24")
    assert f"remove {tmp_path / OVERRIDES}" in outcome["problems"][0]


def test_source_with_another_device_name_is_the_same(tmp_path: Path, settings: dict[str, Any]) -> None:
    set_up(settings, Environment("disc /dev/sr0", {"hostname": "vv1"}), tmp_path)
    assert set_up(settings, Environment("disc /dev/sr1", {"hostname": "vv1"}), tmp_path)["state"] == "unchanged"


def test_machine_of_the_cloudformation_template_takes_its_user_data(
    tmp_path: Path, settings: dict[str, Any], appliance: Appliance
) -> None:
    instances = [item for item in resources(appliance).values() if item["Type"] == "AWS::EC2::Instance"]
    text = instances[0]["Properties"]["UserData"]["Fn::Base64"]["Fn::Sub"][0]
    chosen = {
        "Hostname": "vv1", "Domain": "example.org", "SshKey": SSH_KEY, "OperatorKeySha256": "a" * 64, "Tier": "2",
        "AdvertisedAddress": "203.0.113.7", "SshSources": "192.0.2.0/24", "WebSources": "", "CallSources": "0.0.0.0/0",
    }  # fmt: skip
    text = re.sub(r"\$\{(\w+)\}", lambda match: chosen.get(match[1], ""), text)
    cloud = Environment("EC2 user data", parse(text), only_our_keys=True, assigns_addresses=True)
    outcome = set_up(settings, cloud, tmp_path)
    assert outcome["problems"] == []
    assert (outcome["values"]["advertised_address"], outcome["values"]["tier"]) == ("203.0.113.7", "2")


def test_settings_of_the_system_disk_before_hold_where_the_platform_says_nothing(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    before, now = tmp_path / "before", tmp_path / "now"
    set_up(settings, given(address="192.0.2.10/24", hostname="vv1"), before)
    (now / "etc/voice-verify").mkdir(parents=True)
    (before / RECORD).replace(now / "etc/voice-verify/setup-inherited.json")
    outcome = set_up(settings, None, now)
    assert (outcome["state"], outcome["source"]) == ("applied", "a test")
    # Nothing of them was on this disk yet.
    assert "Address=192.0.2.10/24" in (now / NETWORK).read_text()
    assert set_up(settings, None, now)["state"] == "kept"
    assert set_up(settings, given(address="192.0.2.11/24"), now)["state"] == "applied"
    assert "Address=192.0.2.11/24" in (now / NETWORK).read_text()
