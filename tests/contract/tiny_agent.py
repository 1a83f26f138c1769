"""A user agent without SIP, in a telephony process as real as any: a TCP connection is a leg.

The first line is the call, as JSON, or a command. Then bytes are audio, in blocks of 100 ms; lines come back.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from voice_verify.telephony.agent import (
    AgentError,
    CallInfo,
    LastError,
    Leg,
    LegEnd,
    PbxInstance,
    PbxState,
    Refused,
    RegistrationState,
    Service,
    TelephonyConfig,
)
from voice_verify.telephony.host import run

BLOCK_MS = 100
# Of an account that no agent may start with.
POISON = "poison"


class TinyAgent:
    async def start(self, config: TelephonyConfig, service: Service) -> None:
        if POISON in config.accounts:
            raise AgentError("this account is poison", hint="name another one")
        self._service = service
        self._pbx: Sequence[PbxInstance] = config.pbx
        self._running = 0
        service.counters.watch("legs", lambda: self._running)
        self._server = await asyncio.start_server(self._serve, config.host, config.port)

    async def configure(self, pbx: Sequence[PbxInstance]) -> None:
        self._pbx = pbx

    async def stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        document = json.loads(await reader.readline())

        def answer(**members: Any) -> None:
            writer.write(json.dumps(members).encode() + b"\n")

        if "do" in document:
            await self._do(document, answer)
        else:
            await self._call(document, reader, answer)
        writer.close()

    async def _call(
        self,
        document: dict[str, Any],
        reader: asyncio.StreamReader,
        answer: Callable[..., None],
    ) -> None:
        then = document.pop("then", None)
        asked = {name: document[name] and UUID(document[name]) for name in ("uuid", "pbx")}

        def ended(reason: str) -> None:
            answer(ended=reason)
            reader.feed_eof()

        try:
            leg = await self._service.open(CallInfo(**{**document, **asked}), ended)
        except Refused as error:
            self._service.counters.add("refused", kind=error.code)
            answer(**vars(error))
            return
        self._running += 1
        self._service.counters.add("calls")
        answer(uuid=str(leg.uuid))
        await self._feed(leg, document, then, reader)
        leg.end(LegEnd.client_closed)
        self._running -= 1

    async def _feed(self, leg: Leg, document: dict[str, Any], then: str | None, reader: asyncio.StreamReader) -> None:
        if then == "hold":
            leg.hold(True)
        size = document["rate"] * BLOCK_MS // 1000 * (2 if document["codec"] == "pcm_s16le" else 1)
        while block := await reader.read(size):
            if then == "recode":
                leg.codec("mulaw", 8000)
            leg.audio(block)

    async def _do(self, document: dict[str, Any], answer: Callable[..., None]) -> None:
        match document["do"]:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(3600)
            case "list":
                answer(pbx=[{**vars(instance), "uuid": str(instance.uuid)} for instance in self._pbx])
            case "register":
                now = datetime.now(UTC)
                error = LastError("wrong_password", "The PBX says no\n\0.", now)
                state = RegistrationState.failed
                self._service.registered([PbxState(item.uuid, state, now, None, error) for item in self._pbx])
            case "cancel":
                opening = asyncio.create_task(self._service.open(CallInfo(**document["call"]), print))
                await asyncio.sleep(0)
                opening.cancel()
                await asyncio.wait([opening])
                answer(cancelled=opening.cancelled())


if __name__ == "__main__":
    run(TinyAgent())
