"""Which server is believed: one with a certificate of a known authority, or with the very one that was named."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from pathlib import Path

from vvctl.errors import ConfigurationError
from vvctl.publish.vmware.errors import Untrusted

_TIMEOUT_S = 30
# Hexadecimal digits of what hosts and people name a certificate by; vCenter still gives SHA-1 of its hosts.
_DIGESTS = {40: "sha1", 64: "sha256"}


def by_authority(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the authorities of this machine, or those in `ca_file` (PEM) in their place.

    Raises ConfigurationError when `ca_file` cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"--ca-file {ca_file} holds no certificates: {error}") from error


def by_thumbprint(host: str, port: int, thumbprint: str) -> ssl.SSLContext:
    """Trust the one certificate whose SHA-256 (or SHA-1) is `thumbprint`, in hex with or without colons.

    Nothing is sent before it has been compared. Raises Untrusted when the server shows another one, OSError when it
    cannot be reached and ConfigurationError for what is no thumbprint.
    """
    wanted = thumbprint.replace(":", "").lower()
    if len(wanted) not in _DIGESTS or not all(digit in "0123456789abcdef" for digit in wanted):
        raise ConfigurationError(f"{thumbprint!r} is no thumbprint", hint="SHA-256 of the certificate in hex")
    certificate = ssl.get_server_certificate((host, port), timeout=_TIMEOUT_S)
    shown = hashlib.new(_DIGESTS[len(wanted)], ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
    if not hmac.compare_digest(shown, wanted):
        raise Untrusted(
            f"{host}:{port} shows a certificate with the thumbprint {shown}, not {wanted}",
            hint="somebody may stand between, or the certificate was renewed: ask who runs this server",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The certificate itself is compared on each connection, whatever it is called and whoever issued it.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=certificate)
    return context
