"""The vendor's key pair: the private key signs licences, the public one stands in appliance.yml."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from vvctl.licence.errors import KeyUnusable
from vvctl.licence.files import write_new


def generate(path: Path) -> str:
    """Make a private key (PKCS #8, PEM, for its owner only) and return the public one in hex.

    Raises FileExists.
    """
    key = Ed25519PrivateKey.generate()
    write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    return key.public_key().public_bytes_raw().hex()


def load(path: Path) -> Ed25519PrivateKey:
    """Raises KeyUnusable."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyUnusable(f"{path} cannot be read: {error.strerror}", hint=_MAKE_ONE) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(f"{path} holds no private key without a passphrase", hint=_MAKE_ONE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{path} holds a key of another kind, licences are signed with Ed25519", hint=_MAKE_ONE)
    return key


_MAKE_ONE = "vvctl licence keygen makes one"
