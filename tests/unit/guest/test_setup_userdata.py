"""Properties as a text that a person writes."""

from __future__ import annotations

import json

import pytest
from vv_setup.environment import Unreadable
from vv_setup.userdata import parse

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


@pytest.mark.parametrize(
    ("text", "properties"),
    [
        ("", {}),
        ("#voice-verify\n", {}),
        ("#voice-verify\nhostname: vv1\n", {"hostname": "vv1"}),
        ("---\n# a comment\n\nhostname: vv1   # this machine\n", {"hostname": "vv1"}),
        ("hostname: vv1\r\ndomain: example.org\r\n", {"hostname": "vv1", "domain": "example.org"}),
        ("hostname: 'vv1'\ndomain: \"example.org\"  # ours\n", {"hostname": "vv1", "domain": "example.org"}),
        ("dns: [192.0.2.53, '192.0.2.54']", {"dns": "192.0.2.53, 192.0.2.54"}),
        ("address:\nhostname: vv1", {"address": "", "hostname": "vv1"}),
        ("ssh_key: ssh-ed25519 AAAA me@host", {"ssh_key": "ssh-ed25519 AAAA me@host"}),
        (
            "certificate: |\n  -----BEGIN CERTIFICATE-----\n  MIIB\n  -----END CERTIFICATE-----\n\nhostname: vv1",
            {"certificate": PEM, "hostname": "vv1"},
        ),
        ('{"hostname": "vv1", "tier": 2, "dns": ["192.0.2.53"], "ntp": null}',
         {"hostname": "vv1", "tier": "2", "dns": "192.0.2.53", "ntp": ""}),
        (f'#voice-verify\n{json.dumps({"certificate": PEM})}', {"certificate": PEM}),
    ],
)  # fmt: skip
def test_text_becomes_properties(text: str, properties: dict[str, str]) -> None:
    assert parse(text) == properties


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hostname=vv1", "line 1 is not"),
        ("hostname: vv1\naddress:192.0.2.10/24", "line 2 is not"),
        ("hostname: vv1\n  nested: x", "line 2 is not"),
        ("hostname: vv1\nhostname: vv2", "hostname is there twice"),
        ('{"hostname": "vv1", "hostname": "vv2"}', "hostname is there twice"),
        ('{"hostname": "vv1"', "not: "),
        ('{"hostname": true}', "hostname is neither"),
        ('{"network": {"address": "192.0.2.10/24"}}', "network is neither"),
        ("#cloud-config\nhostname: vv1", "cloud-init"),
        ("#!/bin/sh\necho", "script"),
        ("Content-Type: multipart/mixed", "cloud-init"),
        ("<Environment/>", "XML"),
        ('{"a":' * 100_000, "not: "),
    ],
)
def test_anything_else_is_refused_with_where_and_why(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        parse(text)


def test_report_does_not_repeat_what_may_be_a_private_key() -> None:
    with pytest.raises(Unreadable) as caught:
        parse("certificate: -----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n")
    assert "MIGHAgEA" not in str(caught.value)
