"""Session descriptions (RFC 8866) with what RTP says in them (RFC 3551, 3605, 4568, 4574, 5761)."""

from __future__ import annotations

from voice_verify.telephony.sip.sdp.crypto import Crypto
from voice_verify.telephony.sip.sdp.media import Direction, Media, RtpMap
from voice_verify.telephony.sip.sdp.session import Origin, Session

__all__ = ["Crypto", "Direction", "Media", "Origin", "RtpMap", "Session"]
