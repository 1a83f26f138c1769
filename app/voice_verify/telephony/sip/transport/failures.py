"""Errors of sockets and of TLS in words that tell an administrator what to do."""

from __future__ import annotations

import socket
import ssl

from voice_verify.telephony.sip.errors import FailureCode, TransportFailed
from voice_verify.telephony.sip.transport.flow import Endpoint

# X509_V_ERR_* of OpenSSL.
_EXPIRED = {9, 10}
_WRONG_NAME = {62, 64}
_KINDS = (
    (socket.gaierror, FailureCode.HOST_NOT_FOUND, "the host name is unknown"),
    (TimeoutError, FailureCode.TIMEOUT, "no answer in time"),
    (ConnectionRefusedError, FailureCode.REFUSED, "the connection was refused"),
    (ConnectionError, FailureCode.CLOSED, "the peer closed the connection at once"),
)


def explain(error: OSError, to: Endpoint) -> TransportFailed:
    """The failure for an error of connecting; raise it `from` the error."""
    code, why = _of(error)
    return TransportFailed(code, f"{to}: {why}")


def _of(error: OSError) -> tuple[FailureCode, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error)
    if isinstance(error, ssl.SSLError):
        return FailureCode.TLS, f"TLS failed ({error.reason or error})"
    for kind, code, why in _KINDS:
        if isinstance(error, kind):
            return code, why
    return FailureCode.UNREACHABLE, f"cannot be reached ({error.strerror or error})"


def _of_certificate(error: ssl.SSLCertVerificationError) -> tuple[FailureCode, str]:
    if error.verify_code in _WRONG_NAME:
        return FailureCode.CERTIFICATE_WRONG_NAME, f"the certificate is for another host ({error.verify_message})"
    if error.verify_code in _EXPIRED:
        return FailureCode.CERTIFICATE_EXPIRED, f"the certificate is not valid now ({error.verify_message})"
    return FailureCode.CERTIFICATE_UNTRUSTED, f"the certificate is not trusted ({error.verify_message})"
