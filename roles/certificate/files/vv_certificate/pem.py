"""Certificates and private keys in PEM (RFC 7468)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .refused import Refused

CERTIFICATE = "CERTIFICATE"
PRIVATE_KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
# ITU-T X.690: what is a certificate or PKCS #12 in DER begins as a SEQUENCE with a length of two bytes.
_DER = b"\x30\x82"


@dataclass(frozen=True)
class Bundle:
    """What a file holds: certificates in their order, and a private key or an empty text."""

    certificates: tuple[str, ...]
    key: str = ""


def read(content: bytes, name: str) -> Bundle:
    """The certificates, and the private key if there is one; `name` is what a message calls the file.

    Raises Refused for anything that a person may take for a certificate, saying what it is.
    """
    if content.startswith(_DER):
        raise Refused(
            f"{name} is not PEM but DER or PKCS #12",
            hint="convert it: openssl x509 -inform DER -in FILE, or openssl pkcs12 -in FILE -nodes",
        )
    blocks = [(match[1], match[0] + "\n") for match in _BLOCK.finditer(content.decode("ascii", errors="replace"))]
    labels = [label for label, _ in blocks]
    if "CERTIFICATE REQUEST" in labels:
        raise Refused(f"{name} is a signing request", hint="install the certificate that the authority makes of it")
    if "ENCRYPTED PRIVATE KEY" in labels or any("\nProc-Type: 4,ENCRYPTED" in text for _, text in blocks):
        raise Refused(f"the private key in {name} has a passphrase", hint="remove it: openssl pkey -in KEY -out PLAIN")
    if "PKCS7" in labels:
        raise Refused(f"{name} is PKCS #7", hint="convert it: openssl pkcs7 -print_certs -in FILE")
    keys = [text for label, text in blocks if label in PRIVATE_KEYS]
    if len(keys) > 1:
        raise Refused(f"{name} holds {len(keys)} private keys", hint="leave only the one of the certificate in it")
    return Bundle(tuple(text for label, text in blocks if label == CERTIFICATE), "".join(keys))
