"""Backups of an appliance: made over its API, looked at, and restored."""
