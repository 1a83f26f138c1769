"""What the telephony process is told, from the settings."""

from __future__ import annotations

import json
from pathlib import Path

from voice_verify.errors import StartError
from voice_verify.settings import Settings
from voice_verify.telephony.agent import TelephonyConfig


def read_config(settings: Settings) -> TelephonyConfig | None:
    """Without PBX instances, which come from the database; None when there shall be no telephony. Raises StartError."""
    if not settings.sip_host:
        return None
    tls_port = settings.sip_tls_port if settings.sip_tls_certificate is not None else None
    return TelephonyConfig(
        host=settings.sip_host,
        port=settings.sip_port,
        tls_port=tls_port,
        tls_certificate=settings.sip_tls_certificate,
        tls_key=settings.sip_tls_key,
        ca_file=settings.sip_ca_file,
        advertised=settings.sip_advertised,
        public_port=settings.sip_public_port or settings.sip_port,
        public_tls_port=settings.sip_public_tls_port or tls_port,
        edge=settings.sip_edge,
        peers=settings.sip_peers,
        accounts=_accounts(settings.sip_accounts_file),
        # Audio comes directly, also where a proxy stands in front of the signalling.
        rtp_host=settings.rtp_host or ("" if settings.sip_edge else settings.sip_host),
        rtp_first=settings.rtp_first,
        rtp_last=settings.rtp_last,
        pbx=(),
    )


def _accounts(file: Path | None) -> dict[str, str]:
    """Never less than the file says: without accounts nobody would be challenged."""
    if file is None:
        return {}
    try:
        accounts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StartError(f"{file} (VV_SIP_ACCOUNTS_FILE) cannot be read: {type(error).__name__}", hint=_HINT) from error
    if not isinstance(accounts, dict) or not accounts or not all(map(_is_account, accounts.items())):
        raise StartError(f"{file} (VV_SIP_ACCOUNTS_FILE) holds no passwords by user", hint=_HINT)
    return accounts


_HINT = 'it holds a JSON object: {"user": "password"}'


def _is_account(account: tuple[str, object]) -> bool:
    user, password = account
    return bool(user) and isinstance(password, str) and bool(password)
