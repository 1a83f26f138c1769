"""A licence says what its issuer signed, or nothing."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from voice_verify.errors import LicenceInvalid
from voice_verify.licence import Licence, SignedLicence, sign

from .conftest import IssueTerms

# What could say the same in other words, or end something early.
TELLING = b" \t\n\r\"'\\{}[],:.-+0129aAzZtTeE/\x00\x7f\xc3\xff"


def test_is_taken_as_it_was_issued(vendor: Ed25519PrivateKey, issuer: str, terms: IssueTerms) -> None:
    signed = sign(terms(), vendor)
    assert SignedLicence.read(signed.text().encode()).verified([issuer]) == terms()


def test_a_changed_byte_is_refused(vendor: Ed25519PrivateKey, issuer: str, terms: IssueTerms) -> None:
    content = sign(terms(), vendor).text().encode()
    for position, byte in enumerate(content):
        for other in {*TELLING, *(byte ^ 1 << bit for bit in range(8))} - {byte}:
            changed = bytes([*content[:position], other, *content[position + 1 :]])
            with pytest.raises(LicenceInvalid):
                SignedLicence.read(changed).verified([issuer])


def test_a_lost_or_doubled_byte_is_refused(vendor: Ed25519PrivateKey, issuer: str, terms: IssueTerms) -> None:
    content = sign(terms(), vendor).text().encode()
    for position in range(len(content)):
        for changed in (content[:position] + content[position + 1 :], content[:position] + content[position:][:1] * 2):
            with pytest.raises(LicenceInvalid):
                SignedLicence.read(changed).verified([issuer])


def test_the_signature_is_over_the_canonical_form(vendor: Ed25519PrivateKey, issuer: str, terms: IssueTerms) -> None:
    """By hand, so that others can issue and check licences, too."""
    message = (
        'voice-verify licence 1\n{"calls":100,"customer":"Crédit Exemple","expires":"2027-01-31",'
        '"features":["websocket","sip"],"id":"00000000-0000-4000-8000-000000000001","issued":"2026-01-31"}'
    )
    signed = sign(terms(), vendor)
    assert signed.signature == vendor.sign(message.encode()).hex()
    indented = json.dumps(json.loads(signed.text()), indent=4, sort_keys=False)
    assert SignedLicence.read(indented.encode()).verified([issuer]) == terms()


def test_a_signature_for_another_purpose_is_refused(vendor: Ed25519PrivateKey, issuer: str, terms: IssueTerms) -> None:
    licence = terms()
    message = licence.message.partition(b"\n")[2]
    other = SignedLicence(licence=licence, issuer=issuer, signature=vendor.sign(message).hex())
    with pytest.raises(LicenceInvalid, match="changed"):
        other.verified([issuer])


def test_an_issuer_whom_nobody_trusts_is_refused(terms: IssueTerms, issuer: str) -> None:
    stranger = Ed25519PrivateKey.generate()
    forged = sign(terms(), stranger)
    with pytest.raises(LicenceInvalid, match="does not trust"):
        forged.verified([issuer])
    with pytest.raises(LicenceInvalid, match="does not trust"):
        forged.verified([])
    with pytest.raises(LicenceInvalid, match="changed"):
        forged.model_copy(update={"issuer": issuer}).verified([issuer])


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"calls": 0}, "calls"),
        ({"calls": "100"}, "calls"),
        ({"calls": 100.0}, "calls"),
        ({"calls": True}, "calls"),
        ({"customer": ""}, "customer"),
        ({"customer": "two\nlines"}, "customer"),
        ({"features": []}, "features"),
        ({"features": ["WebSocket"]}, "features"),
        ({"issued": "31.1.2026"}, "issued"),
        ({"expires": "2026-01-30"}, "expires before"),
        ({"id": "1"}, "id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_names_what_is_wrong(
    vendor: Ed25519PrivateKey, terms: IssueTerms, changed: dict[str, object], names: str
) -> None:
    document = json.loads(sign(terms(), vendor).text())
    document["licence"] |= changed
    with pytest.raises(LicenceInvalid, match=names):
        SignedLicence.read(json.dumps(document).encode())


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"licence": null}', b"{" * 10_000])
def test_refuses_what_is_no_licence_at_all(content: bytes) -> None:
    with pytest.raises(LicenceInvalid, match="no licence"):
        SignedLicence.read(content)


def test_the_example_in_the_documentation_is_a_licence() -> None:
    schema = SignedLicence.model_json_schema()
    members = schema["properties"]
    example = {name: members[name]["examples"][0] for name in ("issuer", "signature")}
    described = schema["$defs"]["Licence"]["properties"]
    example["licence"] = {name: described[name]["examples"][0] for name in Licence.model_fields}
    signed = SignedLicence.read(json.dumps(example).encode())
    assert signed.verified([signed.issuer]).customer == "Example Bank"
