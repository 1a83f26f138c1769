"""The engine: features, voice activity, embeddings, streams, profiles, decisions; no HTTP, no database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_verify.engine.client import EngineClient
from voice_verify.engine.encoding import Encoding
from voice_verify.engine.errors import (
    EngineError,
    EngineRestarted,
    ModelError,
    NotRunning,
    Overloaded,
    ProfileError,
    StreamExists,
    StreamFailed,
    UnknownStream,
)
from voice_verify.engine.features import SAMPLE_RATE
from voice_verify.engine.model import ModelInfo
from voice_verify.engine.profile import AudioSourceProfile, packaged_profile, packaged_profiles
from voice_verify.engine.voice import Decision, Quality, Reason, Voice, pool

if TYPE_CHECKING:
    from voice_verify.engine.engine import Engine
else:

    def __getattr__(name: str) -> object:
        """`Engine` on demand: it loads onnxruntime, which the process that serves the API does without."""
        if name == "Engine":
            from voice_verify.engine.engine import Engine  # noqa: PLC0415

            return Engine
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "SAMPLE_RATE",
    "AudioSourceProfile",
    "Decision",
    "Encoding",
    "Engine",
    "EngineClient",
    "EngineError",
    "EngineRestarted",
    "ModelError",
    "ModelInfo",
    "NotRunning",
    "Overloaded",
    "ProfileError",
    "Quality",
    "Reason",
    "StreamExists",
    "StreamFailed",
    "UnknownStream",
    "Voice",
    "packaged_profile",
    "packaged_profiles",
    "pool",
]
