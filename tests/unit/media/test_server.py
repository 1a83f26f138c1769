"""AudioSocket over TCP: what comes before any protocol."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import socket
import struct
from typing import Any, cast

import uvloop

from voice_verify.cpu import CpuClock
from voice_verify.media.server import AudioSocketServer
from voice_verify.services.metrics import Metrics
from voice_verify.services.streams import StreamService

RESET = struct.pack("ii", 1, 0)


def test_a_peer_that_is_gone_at_once_is_no_fault() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    faults: list[dict[str, Any]] = []

    async def scanned() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        server = AudioSocketServer(
            cast(StreamService, None),
            Metrics(CpuClock()),
            host="127.0.0.1",
            port=port,
            peers=[ipaddress.ip_network("127.0.0.1")],
            max_streams=1,
        )
        await server.start()
        with socket.create_connection(("127.0.0.1", port)) as scanner:
            scanner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        await asyncio.sleep(0.1)
        await server.stop()

    uvloop.run(scanned())
    gc.collect()
    assert faults == []
