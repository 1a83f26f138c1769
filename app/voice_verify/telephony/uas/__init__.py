"""The receive-only user agent server: calls, dialogs, offers and answers, recordings, and who may call."""

from __future__ import annotations

from voice_verify.telephony.uas.agent import TelephonyAgent

__all__ = ["TelephonyAgent"]
