"""Addresses as text, whatever the socket they came from calls them."""

from __future__ import annotations

import socket

_MAPPED = "::ffff:"


def family_of(host: str) -> socket.AddressFamily:
    """Of an address as text."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def plain(host: str) -> str:
    """An IPv4 address that a socket for both families gives as IPv6, as everybody knows it."""
    return host.removeprefix(_MAPPED) if "." in host else host


def mapped(host: str, family: socket.AddressFamily) -> str:
    """The address as a socket of that family takes it."""
    return _MAPPED + host if family is socket.AF_INET6 and ":" not in host else host
