"""Voice Verify: live speaker verification for call centres."""

from __future__ import annotations

from voice_verify._version import __version__

__all__ = ["__version__"]
