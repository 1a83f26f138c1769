"""A certificate in the forms in which properties carry it."""

from __future__ import annotations

import base64

import pytest
from vv_setup import x509
from vv_setup.certificate import MAXIMUM_CHAIN, CertificateUnusable, normalise, split

from .certificates import Certificates


def test_chain_stays_as_it_is(certificates: Certificates) -> None:
    assert normalise(certificates.chain) == certificates.chain
    assert x509.problems(certificates.chain) == []


def test_line_breaks_that_became_spaces_come_back(certificates: Certificates) -> None:
    assert normalise(certificates.chain.replace("\n", " ")) == certificates.chain


def test_base64_of_it_is_one_line(certificates: Certificates) -> None:
    assert normalise(base64.b64encode(certificates.chain.encode()).decode()) == certificates.chain


def test_windows_line_ends_and_commentary_are_left_out(certificates: Certificates) -> None:
    text = "Bag Attributes\r\n    friendlyName: vv\r\n" + certificates.chain.replace("\n", "\r\n")
    assert normalise(text) == certificates.chain


def test_private_key_comes_last_wherever_it_was(certificates: Certificates) -> None:
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    pem = normalise(parameters + certificates.key + certificates.chain)
    assert pem == certificates.chain + certificates.key
    assert split(pem)[1] == certificates.key
    assert x509.problems(pem) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-----BEGIN CERTIFICATE-----\nMIIB\n", "cut off"),
        ("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----", "damaged"),
        ("-----BEGIN PGP MESSAGE-----\nAAAA\n-----END PGP MESSAGE-----", "pgp message"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n"
            "-----END RSA PRIVATE KEY-----",
            "passphrase",
        ),
        ("not base64!", "neither PEM nor base64"),
        (base64.b64encode(b"hello").decode(), "no certificate"),
    ],
)
def test_anything_else_is_refused(text: str, reason: str) -> None:
    with pytest.raises(CertificateUnusable, match=reason):
        normalise(text)


def test_two_private_keys_are_refused(certificates: Certificates) -> None:
    with pytest.raises(CertificateUnusable, match="2 private keys"):
        normalise(certificates.with_key + certificates.key)


def test_endless_chain_is_refused(certificates: Certificates) -> None:
    with pytest.raises(CertificateUnusable, match="certificates in it"):
        normalise(certificates.chain * MAXIMUM_CHAIN)


def test_pem_around_something_else_cannot_be_read() -> None:
    pem = normalise("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    assert x509.problems(pem) == ["certificate 1 in it cannot be read; give the whole file"]


def test_its_time_is_left_to_who_puts_it_in_force(certificates: Certificates) -> None:
    # A machine whose certificate has expired keeps its address.
    assert x509.problems(certificates.expired) == x509.problems(certificates.not_yet_valid) == []
