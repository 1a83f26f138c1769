"""What the service is told by its environment: variables named VV_*, or a file of them named by VV_ENV_FILE.

The defaults suit a checkout; in the appliance the role voice_verify writes the file from appliance.yml.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from voice_verify.errors import StartError


class Settings(BaseSettings):
    """All settings; sizes are in the unit that the name ends with."""

    model_config = SettingsConfigDict(env_prefix="VV_", extra="ignore", frozen=True)

    # Secret because the URL of a PostgreSQL reached over TCP holds a password.
    database_url: SecretStr = SecretStr("sqlite:///build/run/voice-verify.db")
    model_dir: Path = Path("build/model")
    host: str = "127.0.0.1"
    port: int = 8000
    profile: str = "mixed"
    max_streams: PositiveInt = 50
    engine_threads: PositiveInt = 1
    upload_mb: PositiveInt = 64
    recordings_per_request: PositiveInt = 10
    recording_minutes: PositiveInt = 30
    websocket_frame_kb: PositiveInt = 64
    stream_idle_s: PositiveInt = 30
    # Base of the WebSocket URL that POST /streams returns; without it, the address that the request was sent to.
    public_ws_url: str = ""


def load() -> Settings:
    """Read the environment and the file named by VV_ENV_FILE; a variable wins over the file.

    Raises StartError that names every wrong variable.
    """
    file = os.environ.get("VV_ENV_FILE")
    if file and not Path(file).is_file():
        raise StartError(f"VV_ENV_FILE names {file}, which is not there", hint="correct VV_ENV_FILE or unset it")
    try:
        return Settings(_env_file=file)  # type: ignore[call-arg]
    except ValidationError as error:
        problems = "; ".join(f"VV_{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors())
        raise StartError(f"wrong settings: {problems}", hint="voice_verify/settings.py lists them") from error
