"""What the service is told of appliance.yml when it runs from a checkout."""

from __future__ import annotations

from vvctl.appliance import Appliance


def environment(appliance: Appliance) -> dict[str, str]:
    """The service's settings that stand in appliance.yml, as environment variables.

    The appliance gets the same ones from role voice_verify.
    """
    limits = appliance.limits
    values = {
        "VV_PORT": appliance.port("api").first,
        "VV_PROFILE": appliance.packaged_profile,
        "VV_MAX_STREAMS": appliance.tiers[0].calls,
        "VV_UPLOAD_MB": limits.upload_mb,
        "VV_RECORDINGS_PER_REQUEST": limits.recordings_per_request,
        "VV_RECORDING_MINUTES": limits.recording_minutes,
        "VV_WEBSOCKET_FRAME_KB": limits.websocket_frame_kb,
        "VV_STREAM_IDLE_S": limits.stream_idle_s,
    }
    return {name: str(value) for name, value in values.items()}
