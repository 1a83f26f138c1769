"""What the service is told by its environment: variables named VV_*, or a file of them named by VV_ENV_FILE.

The defaults suit a checkout and come from appliance.yml; in the appliance the role voice_verify writes the file.
"""

from __future__ import annotations

import os
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    PositiveInt,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from voice_verify import _generated
from voice_verify.errors import StartError
from voice_verify.licence import PublicKey

# Written with commas between them.
_Listed = BeforeValidator(lambda text: tuple(filter(None, map(str.strip, str(text).split(",")))))
PublicKeys = Annotated[tuple[PublicKey, ...], NoDecode, _Listed]
Network = Annotated[str, AfterValidator(lambda text: str(ip_network(text)))]
Networks = Annotated[tuple[Network, ...], NoDecode, _Listed]
# Without one it is empty.
Address = Annotated[str, AfterValidator(lambda text: text and str(ip_address(text)))]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """All settings; sizes are in the unit that the name ends with."""

    model_config = SettingsConfigDict(env_prefix="VV_", extra="ignore", frozen=True)

    # Secret because the URL of a PostgreSQL reached over TCP holds a password.
    database_url: SecretStr = SecretStr("sqlite:///build/run/voice-verify.db")
    # 32 random bytes that encrypt what is stored; systemd's credential data-key wins over the default.
    data_key_file: Path = Field(default_factory=lambda: _credential("data-key") or Path("build/run/data-key"))
    # Where uploads and backups are put while they are made and read: there must be room for them.
    state_dir: Path = Path("build/run")
    model_dir: Path = Path("build/model")
    host: str = "127.0.0.1"
    port: int = _generated.API_PORT
    profile: str = _generated.PROFILE
    max_streams: PositiveInt = _generated.MAX_STREAMS
    engine_threads: PositiveInt = 1
    upload_mb: PositiveInt = _generated.UPLOAD_MB
    restore_mb: PositiveInt = _generated.RESTORE_MB
    recordings_per_request: PositiveInt = _generated.RECORDINGS_PER_REQUEST
    recording_minutes: PositiveInt = _generated.RECORDING_MINUTES
    websocket_frame_kb: PositiveInt = _generated.WEBSOCKET_FRAME_KB
    stream_idle_s: PositiveInt = _generated.STREAM_IDLE_S
    # How long reports are kept.
    report_days: PositiveInt = _generated.REPORT_DAYS
    stream_silence_s: PositiveInt = _generated.STREAM_SILENCE_S
    # Whose licences are taken, and the one that the image was packaged with, if any.
    licence_issuers: PublicKeys = Field(_generated.LICENCE_ISSUERS, validate_default=True)
    licence_file: Path | None = None
    licence_warn_days: PositiveInt = _generated.LICENCE_WARN_DAYS
    # Calls at once without a licence.
    evaluation_calls: PositiveInt = _generated.EVALUATION_CALLS
    # Base of the WebSocket URL that POST /streams returns; without it, the address that the request was sent to.
    public_ws_url: str = ""
    # Who may send calls by AudioSocket, which knows no credentials; while there is nobody, nothing listens.
    audiosocket_peers: Networks = Field("", validate_default=True)
    # Without it, that of the API.
    audiosocket_host: Address = ""
    # 0 for any that is free.
    audiosocket_port: int = Field(_generated.AUDIOSOCKET_PORT, ge=0, le=65535)
    # Where calls come in by SIP, a process of its own; without an address there is none.
    sip_host: Address = ""
    sip_port: Port = _generated.SIP_PORT
    # Only with a certificate and its key.
    sip_tls_port: Port = _generated.SIPS_PORT
    sip_tls_certificate: FilePath | None = None
    sip_tls_key: FilePath | None = Field(None, validate_default=True)
    # Who certifies a PBX that we register with; without it, the authorities of the system.
    sip_ca_file: FilePath | None = Field(default_factory=lambda: _credential("voice-verify.pbx-authorities"))
    # Address and ports by which peers reach us, when those are other ones: behind NAT, or behind a proxy.
    sip_advertised: Address = ""
    sip_public_port: Port | None = None
    sip_public_tls_port: Port | None = None
    # The proxy on this machine whose word about where a call comes from is believed.
    sip_edge: Address = ""
    # Networks that may call; without any, everybody.
    sip_peers: Networks = Field("", validate_default=True)
    # A JSON object of passwords by user; with it, calls are challenged.
    sip_accounts_file: FilePath | None = Field(default_factory=lambda: _credential("voice-verify.sip-accounts"))
    # Without it that of SIP, and behind a proxy every address.
    rtp_host: Address = ""
    rtp_first: Port = _generated.RTP_FIRST
    rtp_last: Port = Field(_generated.RTP_LAST, validate_default=True)

    @field_validator("sip_tls_key")
    @classmethod
    def key_has_a_certificate(cls, key: Path | None, others: ValidationInfo) -> Path | None:
        if (key is None) != (others.data.get("sip_tls_certificate") is None):
            raise ValueError("certificate and key belong together")
        return key

    @field_validator("rtp_last")
    @classmethod
    def ports_hold_a_pair(cls, last: int, others: ValidationInfo) -> int:
        first = others.data.get("rtp_first", last)
        # RTP on an even port, RTCP on the odd one behind it: RFC 3550, section 11.
        if first + first % 2 >= last:
            raise ValueError(f"there must be an even port and the next one from {first} on")
        return last


def _credential(name: str) -> Path | None:
    """The file in which systemd hands over a credential (systemd.exec(5), CREDENTIALS); None without it."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    file = Path(folder, name) if folder else None
    return file if file and file.is_file() else None


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
