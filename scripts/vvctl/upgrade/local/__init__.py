"""Upgrades of QEMU machines on this computer."""
