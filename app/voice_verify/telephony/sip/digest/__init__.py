"""Digest authentication with `auth` (RFC 7616, RFC 8760): as server with MD5, as client also with SHA-256."""

from __future__ import annotations

from voice_verify.telephony.sip.digest.challenger import Accepted, Challenged, Challenger, Verdict
from voice_verify.telephony.sip.digest.login import Login

__all__ = ["Accepted", "Challenged", "Challenger", "Login", "Verdict"]
