"""Derived from appliance.yml by `make generate`."""

__version__ = "0.1.0"
API_PORT = 8000
