"""One simulated call: audio sent at its own pace on one side, events coming back on the other."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from vvctl.demo.client import Client, ServiceError
from vvctl.demo.recording import FRAME_S

Event = dict[str, Any]


class Call:
    """A call on a new stream; `on_event` is called for each of its events, from a thread of its own.

    Raises ServiceError when no stream can be had.
    """

    def __init__(self, client: Client, on_event: Callable[[Event], None]) -> None:
        self._client = client
        self._stream = client.open_stream()
        self._on_event = on_event
        self._over = threading.Event()

    def run(
        self,
        begin: Callable[[str], None],
        audio: Iterable[bytes],
        *,
        speed: float,
        enough: Callable[[], bool] = lambda: False,
    ) -> None:
        """Connect, `begin` on the stream, send `audio` `speed` times as fast as it was spoken, and end the stream.

        Stops early when `enough`. Everything that was sent is heard before this returns. Raises ServiceError.
        """
        uuid = self._stream["uuid"]
        with self._client.connect(self._stream["url"]) as connection:
            listener = threading.Thread(target=self._listen, args=[connection], daemon=True)
            listener.start()
            begin(uuid)
            self._send(connection, audio, speed, enough)
            if not self._over.is_set():
                self._client.end_stream(uuid)
            listener.join()

    def _send(
        self, connection: ClientConnection, audio: Iterable[bytes], speed: float, enough: Callable[[], bool]
    ) -> None:
        started = time.monotonic()
        for number, frame in enumerate(audio):
            if self._over.is_set() or enough():
                return
            try:
                connection.send(frame)
            except ConnectionClosed as error:
                # The events say why; without any, this is all there is to say.
                if self._over.wait(timeout=1):
                    return
                raise ServiceError("the service closed the connection", hint="see its log") from error
            # By the clock from the start, so that the pace does not drift.
            time.sleep(max(0.0, started + (number + 1) * FRAME_S / speed - time.monotonic()))

    def _listen(self, connection: ClientConnection) -> None:
        try:
            for message in connection:
                event = json.loads(message)
                self._on_event(event)
                if event["event"] == "end":
                    return
        finally:
            self._over.set()
