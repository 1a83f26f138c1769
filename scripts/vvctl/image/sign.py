"""Sign an OVA: the .cert member of DMTF DSP0243 1.1.0, section 5.1, beside the manifest that it vouches for.

A signature is made after the build, with a key that need not be on the build machine.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from vvctl.errors import ConfigurationError, IntegrityError

# Environment variable with the passphrase of an encrypted key.
PASSPHRASE_VARIABLE = "VV_SIGNING_PASSPHRASE"  # noqa: S105 (a name, no value)
# NIST SP 800-131A revision 2: shorter ones are disallowed.
_MINIMUM_BITS = 2048
_LINE = re.compile(r"SHA256\((?P<name>[^)]+)\)= (?P<signature>[0-9a-f]+)\n")


class Signer:
    """A private RSA key and the X.509 certificate, with its chain, that belongs to it."""

    def __init__(self, key: rsa.RSAPrivateKey, chain: list[x509.Certificate]) -> None:
        self._key = key
        self._chain = chain

    @classmethod
    def load(cls, key: Path, certificate: Path, passphrase: bytes | None) -> Signer:
        """Read PEM files: the key, and the certificate followed by its chain.

        Raises ConfigurationError when one cannot be read, the key is no RSA key of 2048 bits or more, or the two do not
        belong together.
        """
        try:
            private = serialization.load_pem_private_key(key.read_bytes(), passphrase)
            chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        except (OSError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"the key {key} or the certificate {certificate} cannot be read: {error}",
                hint=f"both must be PEM files; {PASSPHRASE_VARIABLE} holds the passphrase of an encrypted key",
            ) from error
        if not isinstance(private, rsa.RSAPrivateKey) or private.key_size < _MINIMUM_BITS:
            raise ConfigurationError(
                f"{key} is no RSA key of at least {_MINIMUM_BITS} bits", hint="vSphere verifies RSA signatures only"
            )
        if chain[0].public_key() != private.public_key():
            raise ConfigurationError(
                f"the first certificate of {certificate} does not belong to {key}",
                hint="put the signing certificate first, then those that issued it",
            )
        return cls(private, chain)

    def certificate_member(self, name: str, manifest: bytes) -> bytes:
        """Content of the .cert member: the signature over `manifest`, which is called `name`, and the certificates."""
        signature = self._key.sign(manifest, padding.PKCS1v15(), hashes.SHA256())
        certificates = b"".join(entry.public_bytes(serialization.Encoding.PEM) for entry in self._chain)
        return f"SHA256({name})= {signature.hex()}\n".encode() + certificates


def check_signature(member: bytes, name: str, manifest: bytes) -> x509.Certificate:
    """The certificate whose key signed `manifest`, which is called `name`; who issued it is for the importer to judge.

    Raises IntegrityError when the signature is not that of the certificate beside it.
    """
    found = _LINE.match(member.decode("ascii", errors="replace"))
    if found is None or found["name"] != name:
        raise IntegrityError(f"the signature does not begin with that of {name}")
    try:
        certificate = x509.load_pem_x509_certificate(member[found.end() :])
        signature = bytes.fromhex(found["signature"])
    except ValueError as error:
        raise IntegrityError(f"the signature of {name} cannot be read: {error}") from error
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise IntegrityError(f"the signature of {name} was not made with an RSA key")
    try:
        key.verify(signature, manifest, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise IntegrityError(
            f"the signature of {name} is wrong: it was made with another key or for another manifest"
        ) from error
    return certificate


def sign_archive(source: Path, target: Path, signer: Signer) -> None:
    """Write `source`, an OVA, as `target` with a .cert member after its manifest; an older signature is left out.

    Raises ConfigurationError when `target` exists and IntegrityError when `source` is no OVA with a manifest.
    """
    with tempfile.TemporaryDirectory(prefix=".sign-", dir=target.parent) as scratch:
        signed = Path(scratch) / target.name
        try:
            with tarfile.open(source, "r:") as old, tarfile.open(signed, "w", format=tarfile.USTAR_FORMAT) as new:
                _copy_signed(old, new, signer)
        except (OSError, tarfile.TarError) as error:
            raise IntegrityError(f"{source} cannot be signed: {error}") from error
        try:
            # Unlike a rename, this never takes the place of another file.
            os.link(signed, target)
        except FileExistsError:
            raise ConfigurationError(f"{target} exists already", hint="name another file with --output") from None


def _copy_signed(old: tarfile.TarFile, new: tarfile.TarFile, signer: Signer) -> None:
    signed = False
    for member in old:
        if member.name.endswith(".cert"):
            continue
        content = old.extractfile(member)
        if content is None:
            raise tarfile.TarError(f"{member.name} is no file")
        if not member.name.endswith(".mf"):
            new.addfile(member, content)
            continue
        manifest = content.read()
        new.addfile(member, io.BytesIO(manifest))
        certificate = signer.certificate_member(member.name, manifest)
        member.name = f"{member.name.removesuffix('.mf')}.cert"
        member.size = len(certificate)
        new.addfile(member, io.BytesIO(certificate))
        signed = True
    if not signed:
        raise tarfile.TarError("it has no manifest")
