"""Digest authentication of both sides (RFC 7616, RFC 8760): SHA-256 and MD5, `auth`."""

from __future__ import annotations

from voice_verify.telephony.sip.digest.challenger import Accepted, Challenged, Challenger, Verdict
from voice_verify.telephony.sip.digest.login import Login

__all__ = ["Accepted", "Challenged", "Challenger", "Login", "Verdict"]
