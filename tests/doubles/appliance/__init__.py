"""The appliance for doubles of hypervisors and clouds: which guest answers is for them to say."""

from __future__ import annotations

from .faults import Fault, Faults, HungUp, Refused, Unavailable
from .guest import A, B, Behaviour, Data, Guest, Version
from .server import OPERATOR_KEY, Appliance

__all__ = [
    "OPERATOR_KEY",
    "A",
    "Appliance",
    "B",
    "Behaviour",
    "Data",
    "Fault",
    "Faults",
    "Guest",
    "HungUp",
    "Refused",
    "Unavailable",
    "Version",
]
