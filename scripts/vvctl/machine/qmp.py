"""A small client of QEMU's machine protocol.

QEMU's own Python library is asynchronous, and its synchronous part may only be used under the GPL 2.
Protocol: docs/interop/qmp-spec.rst of QEMU 7.2.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from vvctl.machine.errors import MachineError


class Qmp:
    """Sends commands over a connected socket and drops the events that come in between."""

    def __init__(self, connection: socket.socket, *, timeout_s: float) -> None:
        """Wait for QEMU's greeting and leave the negotiation; raises MachineError when neither comes."""
        self._connection = connection
        connection.settimeout(timeout_s)
        self._lines = connection.makefile("rb")
        self._receive("QMP")
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> Any:
        """The answer to `command`; raises MachineError when QEMU refuses it or has gone."""
        request = {"execute": command, "arguments": arguments}
        try:
            self._connection.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise MachineError(f"QEMU takes no command any more: {error}") from error
        answer = self._receive("return", "error")
        if "error" in answer:
            raise MachineError(f"QEMU refused {command}: {answer['error']['desc']}")
        return answer["return"]

    def close(self) -> None:
        self._lines.close()
        self._connection.close()

    def _receive(self, *keys: str) -> dict[str, Any]:
        """The next message with one of `keys`."""
        try:
            for line in self._lines:
                message: dict[str, Any] = json.loads(line)
                if any(key in message for key in keys):
                    return message
        except (OSError, ValueError) as error:
            raise MachineError(f"QEMU did not answer: {error}") from error
        raise MachineError("QEMU closed its control connection", hint="its messages are in qemu.log beside the console")
