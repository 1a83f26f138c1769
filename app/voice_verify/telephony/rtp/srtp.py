"""SRTP and SRTCP (RFC 3711) with keys from the SDP (RFC 4568), by libsrtp."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import pylibsrtp

_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
}
SUITES = tuple(_PROFILES)
"""Crypto suites that are understood, the better one first."""
KEY_BYTES = 30
"""A master key of 16 bytes, then a master salt of 14."""
# libsrtp keeps a context for every source that it saw: no peer changes its own so often.
_MAX_SOURCES = 64


class SrtpFailure(Exception):
    """A packet that the peer did not send with its key, or sent before."""


@dataclass(frozen=True)
class SrtpKeys:
    """`remote` protects what the peer sends, `local` what we send; 30 bytes each."""

    suite: str
    remote: bytes
    local: bytes

    def __post_init__(self) -> None:
        if self.suite not in _PROFILES:
            raise ValueError(f"no crypto suite is called {self.suite}")
        if len(self.remote) != KEY_BYTES or len(self.local) != KEY_BYTES:
            raise ValueError(f"a key and its salt are {KEY_BYTES} bytes")


def new_key() -> bytes:
    """A master key and salt of our own."""
    return secrets.token_bytes(KEY_BYTES)


class SrtpSession:
    """Both directions of one stream."""

    def __init__(self, keys: SrtpKeys, before: SrtpSession | None = None) -> None:
        """`before`: what these keys replace; with the same key of ours, our packets are numbered on.

        The same number again would be the same key stream (RFC 3711, section 9.1), and a replay to the peer.
        """
        self.keys = keys
        profile, kinds = _PROFILES[keys.suite], pylibsrtp.Policy
        self._in = pylibsrtp.Session(kinds(keys.remote, kinds.SSRC_ANY_INBOUND, srtp_profile=profile))
        self._out: pylibsrtp.Session
        if before is not None and (before.keys.suite, before.keys.local) == (keys.suite, keys.local):
            self._out = before._out
        else:
            self._out = pylibsrtp.Session(kinds(keys.local, kinds.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self._sources: set[bytes] = set()

    def rtp(self, data: bytes) -> bytes:
        """The RTP packet in `data`; raises SrtpFailure."""
        source = data[8:12]
        known = source in self._sources
        if not known and len(self._sources) >= _MAX_SOURCES:
            raise SrtpFailure("too many sources")
        try:
            packet: bytes = self._in.unprotect(data)
        except (pylibsrtp.Error, ValueError) as error:
            raise SrtpFailure(str(error)) from error
        if not known:
            self._sources.add(source)
        return packet

    def rtcp(self, data: bytes) -> bytes:
        """The RTCP packets in `data`; raises SrtpFailure."""
        if data[4:8] not in self._sources and len(self._sources) >= _MAX_SOURCES:
            raise SrtpFailure("too many sources")
        try:
            packet: bytes = self._in.unprotect_rtcp(data)
        except (pylibsrtp.Error, ValueError) as error:
            raise SrtpFailure(str(error)) from error
        self._sources.add(data[4:8])
        return packet

    def protect_rtcp(self, data: bytes) -> bytes:
        """Our own RTCP packets, encrypted."""
        packet: bytes = self._out.protect_rtcp(data)
        return packet
