"""From the signing request to the certificate in force, in a machine; what is refused is tested in tests/unit/guest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-certificate"]
FOLDER = "/data/tls"
PROPERTY = "/etc/voice-verify/certificate.pem"
# Makes an authority in /root/ca.{key,pem}.
AUTHORITY = "openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=CA -keyout /root/ca.key -out /root/ca.pem"
SIGN = "openssl x509 -req -days 90 -CA /root/ca.pem -CAkey /root/ca.key -copy_extensions copyall"


@pytest.fixture(autouse=True)
def fresh(host: Host) -> Iterator[None]:
    """A machine of the domain example.org that has never had a certificate."""
    host.check_output(f"rm -rf {FOLDER} /run/voice-verify; mkdir -p /run/voice-verify /etc/voice-verify")
    host.check_output(f"test -e /root/ca.pem || {AUTHORITY}")
    note = json.dumps({"values": {"domain": "example.org"}})
    host.check_output("printf '%%s' %s > /run/voice-verify/setup.json", note)
    yield
    host.check_output(f"rm -f {PROPERTY}")


def state(host: Host) -> dict[str, Any]:
    return dict(json.loads(host.file("/run/voice-verify/tls.json").content_string))


def sign(host: Host) -> str:
    """The path of a certificate for the request of this machine."""
    host.check_output(f"vv-certificate request | {SIGN} -out /root/own.pem")
    return "/root/own.pem"


def bundle(host: Host) -> str:
    """The path of a certificate with a key of its own."""
    host.check_output(
        "openssl req -newkey rsa:2048 -nodes -keyout /root/other.key -subj /CN=x"
        f" -addext subjectAltName=DNS:*.example.org | {SIGN} -out /root/other.pem"
    )
    host.check_output("cat /root/other.pem /root/other.key > /root/bundle.pem")
    return "/root/bundle.pem"


def test_boot_makes_a_key_and_a_request_and_opens_nothing(host: Host) -> None:
    host.check_output("systemctl start vv-certificate")
    assert not state(host)["enabled"]
    asked = host.check_output("vv-certificate request | openssl req -noout -text -verify 2>&1")
    assert "DNS:voiceverify.example.org, DNS:kibana.example.org, DNS:grafana.example.org, DNS:example.org" in asked
    assert "Public-Key: (3072 bit)" in asked
    assert host.check_output(f"stat -Lc '%a %U' {FOLDER} {FOLDER}/current/private-key.pem").split("\n") == [
        "700 root",
        "600 root",
    ]


def test_signed_request_puts_tls_on(host: Host) -> None:
    shown = host.check_output(f"vv-certificate install {sign(host)}")
    assert "installed: CN=voiceverify.example.org" in shown
    assert (state(host)["enabled"], state(host)["names_fit"], state(host)["problem"]) == (True, True, "")
    shown = host.check_output("vv-certificate show")
    assert "TLS is on" in shown
    assert "Issuer   CN=CA" in shown


def test_certificate_comes_through_a_pipe_too(host: Host) -> None:
    host.check_output(f"cat {sign(host)} | vv-certificate install /dev/stdin")
    assert state(host)["enabled"]


def test_foreign_certificate_is_refused_and_the_one_in_force_stays(host: Host) -> None:
    host.check_output(f"vv-certificate install {sign(host)}")
    before = state(host)
    bundle(host)
    refused = host.run("vv-certificate install /root/other.pem")
    assert refused.rc == 1
    assert "belongs to another private key" in refused.stderr
    assert "hint:" in refused.stderr
    host.check_output("systemctl restart vv-certificate")
    assert state(host) == before
    assert host.run("vv-certificate install /root/other.pem --key /root/other.key").rc == 0


def test_certificate_property_is_taken_at_boot(host: Host) -> None:
    host.check_output(f"install -m 0600 {bundle(host)} {PROPERTY}")
    host.check_output("systemctl restart vv-certificate")
    assert state(host)["enabled"]
    assert "PRIVATE KEY" not in host.file(f"{FOLDER}/current/certificate.pem").content_string


def test_refused_property_is_told_and_opens_nothing(host: Host) -> None:
    bundle(host)
    host.check_output(f"install -m 0600 /root/other.pem {PROPERTY}")
    # Twice: at the first boot there is no key at all.
    host.check_output("systemctl restart vv-certificate")
    host.check_output("systemctl restart vv-certificate")
    assert not state(host)["enabled"]
    assert "the property certificate was not taken: the certificate belongs to another" in state(host)["problem"]
    assert "problem: the property" in host.check_output("vv-certificate show")


def test_services_look_again_when_the_certificate_changes_and_only_then(host: Host) -> None:
    stand_in = "systemd-run --unit=nginx --property=ExecReload='/usr/bin/touch /run/reloaded' sleep 600"
    host.check_output(stand_in)
    try:
        path = sign(host)
        host.check_output(f"vv-certificate install {path}")
        host.check_output("for i in $(seq 50); do test -e /run/reloaded && break; sleep 0.1; done; rm /run/reloaded")
        host.check_output("systemctl restart vv-certificate; sleep 1")
        assert not host.file("/run/reloaded").exists
    finally:
        host.check_output("systemctl stop nginx")


def test_it_is_looked_at_every_day(host: Host) -> None:
    assert host.check_output("systemctl show --property=Unit --value vv-certificate.timer") == "vv-certificate.service"
    assert host.service("vv-certificate.timer").is_enabled
    # A unit that stays active would not be started again.
    host.check_output("systemctl restart vv-certificate")
    assert not host.service("vv-certificate").is_running


def test_others_than_root_learn_what_to_do(host: Host) -> None:
    refused = host.run("runuser -u nobody -- vv-certificate show")
    assert refused.rc == 1
    assert "hint: sudo vv-certificate show" in refused.stderr


def test_it_needs_the_data_disk(host: Host) -> None:
    assert host.check_output("systemctl show --property=RequiresMountsFor --value vv-certificate").split()[0] == "/data"


def test_unit_is_sandboxed(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager vv-certificate.service")
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0
