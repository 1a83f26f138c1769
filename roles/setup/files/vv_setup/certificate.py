"""A certificate as PEM (RFC 7468), however it came through a property."""

from __future__ import annotations

import base64
import binascii
import re

BEGIN = "-----BEGIN "
CERTIFICATE = "CERTIFICATE"
PRIVATE_KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
# `openssl ecparam -genkey` writes them before the key, which names its curve itself.
IGNORED = ("EC PARAMETERS",)
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_LINE = 64
# Real chains have three or four.
MAXIMUM_CHAIN = 10
_LOCKED = "its private key has a passphrase; remove that: openssl pkey -in KEY -out PLAIN"


class CertificateUnusable(Exception):
    """The text says why, and what to give instead."""


def normalise(text: str) -> str:
    """The certificates in their order, then the private key when there is one, as PEM with lines of 64.

    A property in vCenter is one line: spaces may stand in the place of line breaks, or the whole is base64 of PEM.
    Raises CertificateUnusable for what cannot be a certificate with its chain and at most one private key.
    """
    blocks = [block for block in _blocks(_unwrapped(text)) if block[0] not in IGNORED]
    for label, _ in blocks:
        if label == "CERTIFICATE REQUEST":
            raise CertificateUnusable("this is a signing request; give the certificate that the authority made of it")
        if label == "ENCRYPTED PRIVATE KEY":
            raise CertificateUnusable(_LOCKED)
        if label != CERTIFICATE and label not in PRIVATE_KEYS:
            raise CertificateUnusable(f"it holds a {label.lower()}; give a certificate, its chain and at most one key")
    certificates = [block for block in blocks if block[0] == CERTIFICATE]
    keys = [block for block in blocks if block[0] in PRIVATE_KEYS]
    if not certificates:
        raise CertificateUnusable("there is no certificate in it; give PEM, beginning with -----BEGIN CERTIFICATE-----")
    if len(certificates) > MAXIMUM_CHAIN:
        raise CertificateUnusable(
            f"there are {len(certificates)} certificates in it; give this machine's and its chain"
        )
    if len(keys) > 1:
        raise CertificateUnusable(f"there are {len(keys)} private keys in it; give at most one, the certificate's")
    return "".join(_pem(label, body) for label, body in certificates + keys)


def split(pem: str) -> tuple[list[str], str]:
    """The certificates, each as PEM, and the private key or an empty text, of what normalise() returned."""
    blocks = _blocks(pem)
    certificates = [_pem(label, body) for label, body in blocks if label == CERTIFICATE]
    return certificates, "".join(_pem(label, body) for label, body in blocks if label != CERTIFICATE)


def _unwrapped(text: str) -> str:
    if BEGIN in text:
        return text
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise CertificateUnusable("neither PEM nor base64 of PEM; make one line of it: base64 -w0 FILE") from None


def _blocks(text: str) -> list[tuple[str, bytes]]:
    """Label and decoded content of each PEM block; text between blocks is commentary, as OpenSSL writes it."""
    found = []
    for label, body in _BLOCK.findall(text):
        # RFC 1421, as OpenSSL still writes it for the older kinds of keys.
        if "ENCRYPTED" in body:
            raise CertificateUnusable(_LOCKED)
        try:
            found.append((label, base64.b64decode("".join(body.split()), validate=True)))
        except binascii.Error:
            raise CertificateUnusable(f"its {label.lower()} is cut off or damaged; give the whole file") from None
    if len(found) != text.count(BEGIN):
        raise CertificateUnusable("a part of it is cut off: a BEGIN line without its END line; give the whole file")
    return found


def _pem(label: str, content: bytes) -> str:
    body = base64.b64encode(content).decode()
    lines = [body[start : start + _LINE] for start in range(0, len(body), _LINE)]
    return "\n".join([f"{BEGIN}{label}-----", *lines, f"-----END {label}-----", ""])
