"""Registrations at PBX instances: RFC 3261, section 10."""

from voice_verify.telephony.registration.registrations import Registrations

__all__ = ["Registrations"]
