"""Signatures against the examples of those who make them."""

from __future__ import annotations

import base64

import pytest

from voice_verify.media import signatures
from voice_verify.media.signatures import SignatureError

# The example of the AudioHook documentation, as its reference implementation tests it:
# github.com/purecloudlabs/audiohook-reference-implementation, app/audiohook/test/httpsignature.
TARGET = "/api/v1/voicebiometrics/ws"
SECRET = base64.b64decode("TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU=")
CREATED = 1641013200
HEADERS = {
    "host": "audiohook.example.com",
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "x-api-key": "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh",
    "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
    "signature-input": (
        'sig1=("@request-target" "@authority" "audiohook-organization-id" "audiohook-session-id"'
        ' "audiohook-correlation-id" "x-api-key");keyid="SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"'
        ';nonce="VGhpc0lzQVVuaXF1ZU5vbmNl";alg="hmac-sha256";created=1641013200;expires=3282026430'
    ),
}


def test_the_documented_example_is_good() -> None:
    signed = signatures.read(HEADERS, TARGET)
    assert (signed.key_id, signed.created) == (HEADERS["x-api-key"], CREATED)
    signed.verify(SECRET, CREATED)
    signed.verify(SECRET, CREATED + signatures.AGE_S)


@pytest.mark.parametrize(
    ("secret", "now"),
    [
        (b"another", CREATED),
        (None, CREATED),
        (SECRET, CREATED + signatures.AGE_S + signatures.SKEW_S + 1),
        (SECRET, CREATED - signatures.SKEW_S - 1),
    ],
    ids=["other secret", "unknown key", "too old", "from the future"],
)
def test_another_secret_or_time_is_not(secret: bytes | None, now: float) -> None:
    with pytest.raises(SignatureError):
        signatures.read(HEADERS, TARGET).verify(secret, now)


@pytest.mark.parametrize("name", [name for name in HEADERS if not name.startswith("signature")])
def test_every_header_counts(name: str) -> None:
    with pytest.raises(SignatureError):
        signatures.read({**HEADERS, name: "other"}, TARGET).verify(SECRET, CREATED)
    with pytest.raises(SignatureError):
        signatures.read({key: value for key, value in HEADERS.items() if key != name}, TARGET)


def test_the_target_counts() -> None:
    with pytest.raises(SignatureError):
        signatures.read(HEADERS, f"{TARGET}?a=b").verify(SECRET, CREATED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"@request-target" ', ""),
        ('"x-api-key")', '"x-api-key" "x-api-key")'),
        ('"x-api-key")', '"x-api-key" "cookie")'),
        (';nonce="VGhpc0lzQVVuaXF1ZU5vbmNl"', ""),
        (";created=1641013200", ""),
        ("hmac-sha256", "rsa-v1_5-sha256"),
        ("sig1=", "sig2="),
        ("sig1=(", "sig1=(("),
        (";expires=3282026430", ";expires=99999999999999999999"),
    ],
)
def test_a_signature_of_another_form_is_not_read(old: str, new: str) -> None:
    changed = {**HEADERS, "signature-input": HEADERS["signature-input"].replace(old, new)}
    with pytest.raises(SignatureError):
        signatures.read(changed, TARGET)


@pytest.mark.parametrize("signature", ["", "sig1=::x", "sig1=:A:", "sig1=NZBw"])
def test_garbage_is_not_read(signature: str) -> None:
    with pytest.raises(SignatureError):
        signatures.read({**HEADERS, "signature": signature}, TARGET)


def test_twilio_signs_the_url() -> None:
    # The example of https://www.twilio.com/docs/usage/security, whose URL is signed with its parameters behind it.
    url = (
        "https://mycompany.com/myapp.php?foo=1&bar=2"
        "CallSidCA1234567890ABCDECaller+14158675309Digits1234From+14158675309To+18005551212"
    )
    assert signatures.twilio(url, "12345") == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert signatures.is_twilio(url, "12345", "RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    assert not signatures.is_twilio(url, "12345", "é")
