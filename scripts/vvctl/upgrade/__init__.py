"""Upgrade: another system with the same data disk, in steps that can be killed, resumed and undone."""
