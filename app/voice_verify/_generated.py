"""Derived from appliance.yml by `make generate`."""

__version__ = "0.1.0"
API_PORT = 8000
PROFILE = "mixed"
MAX_STREAMS = 50
UPLOAD_MB = 64
RECORDINGS_PER_REQUEST = 10
RECORDING_MINUTES = 30
WEBSOCKET_FRAME_KB = 64
STREAM_IDLE_S = 30
