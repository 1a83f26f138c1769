"""The operator tooling of Voice Verify: build, try and operate the appliance."""

from vvctl._generated import __version__

__all__ = ["__version__"]
