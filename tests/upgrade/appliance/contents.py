"""What a call centre keeps on its appliance, one of every kind, and all of it read back."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from websockets.sync.client import connect

from tests.image import voices
from tests.unit.guest.certificates import NAME
from tests.unit.guest.certificates import make as make_certificates
from voice_verify.engine import packaged_profile

from .machine import Machine

HOST_NAME = "voice-lyon"
_FRAME_S = 0.1
# Who writes a line to the journal, to be found later.
_WRITER = "vv-before"
# Documents of the API that must be what they were.
_DOCUMENTS = ("/speakers", "/maintenance/asp", "/pbx", "/licence")
# What makes the machine the one that it is.
_IDENTITY = {
    "machine-id": "cat /etc/machine-id",
    "host name": "hostname",
    "SSH host keys": "cat /etc/ssh/ssh_host_*_key.pub",
    "certificate": "echo | openssl s_client -connect 127.0.0.1:443 2>/dev/null | openssl x509 -fingerprint -noout",
}


def fill(machine: Machine, licence: Any) -> None:
    """Voices, a profile in force, a PBX instance, a licence, settings made by hand, a line in the journal."""
    machine.let_integrator_in()
    for speaker in (voices.TARGET, voices.IMPOSTOR):
        machine.enrol(speaker, speaker)
    own = packaged_profile("mixed").model_dump(mode="json") | {"name": "lyon", "uuid": str(uuid4())}
    machine.ask("PUT", "/licence", json=licence)
    machine.ask("POST", "/maintenance/asp", json=own)
    machine.ask("POST", f"/maintenance/asp/{own['uuid']}/active")
    instance = {"name": "Lyon", "host": "192.0.2.9", "username": "vv", "password": "correct horse"}
    machine.ask("POST", "/pbx", json=instance)
    domain, pem = NAME.partition(".")[2], make_certificates().with_key
    machine.shell.send(
        pem.encode(),
        f"cat > /run/own.pem && vv-setup set hostname={HOST_NAME} domain={domain} certificate=@/run/own.pem"
        " && rm /run/own.pem",
        timeout_s=600,
    )
    machine.root(f"logger --tag {_WRITER} written before the upgrade && journalctl --sync")
    call(machine, voices.TARGET, 5)


def read(machine: Machine) -> dict[str, Any]:
    """Everything that must be the same after an upgrade."""
    found = {path: machine.ask("GET", path) for path in _DOCUMENTS}
    found |= {what: machine.root(command) for what, command in _IDENTITY.items()}
    found["logged"] = machine.root(f"journalctl --identifier {_WRITER} --output cat --quiet")
    return found


def invoices(machine: Machine) -> dict[str, Any]:
    """What is counted for them so far."""
    counted: dict[str, Any] = machine.ask("GET", "/logging_aggregate")
    return counted


def call(machine: Machine, voice: str, seconds: int) -> str:
    """A live call of that voice, and the decision on it at its end."""
    stream = machine.ask("POST", "/streams", role="integrator")
    path, uuid = stream["url"].partition("/stream/")[2], stream["uuid"]
    url = f"ws://127.0.0.1:{machine.api_port}/stream/{path}&codec=pcm_s16le&rate={voices.RATE}"
    with connect(url, open_timeout=60, close_timeout=60, ping_timeout=None) as socket:
        _speak(socket, voices.samples(voice, seconds))
        decided = machine.ask("POST", f"/streams/{uuid}/verify", role="integrator", json={"speaker": voices.TARGET})
    decision: str = decided["decision"]
    return decision


def _speak(socket: Any, samples: bytes) -> None:
    size = int(voices.RATE * _FRAME_S) * 2
    for start in range(0, len(samples), size):
        socket.send(samples[start : start + size])
        time.sleep(_FRAME_S)
