"""The engine: features, voice activity, embeddings, streams, profiles, decisions; no HTTP, no database."""

from __future__ import annotations

from voice_verify.engine.engine import Engine
from voice_verify.engine.errors import (
    EngineError,
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

__all__ = [
    "SAMPLE_RATE",
    "AudioSourceProfile",
    "Decision",
    "Engine",
    "EngineError",
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
