"""All streams are read, also when one of them fails."""

from __future__ import annotations

import asyncio
import logging

import pytest

from voice_verify.telephony.rtp import PortPool, RtpReceiver

from .line import media, speech, spoken


class Ear:
    """Waits for audio."""

    def __init__(self, wanted: int) -> None:
        self.heard = b""
        self.enough = asyncio.Event()
        self._wanted = wanted

    def block(self, block: bytes) -> None:
        self.heard += block
        if len(self.heard) >= self._wanted:
            self.enough.set()


async def send(port: int, numbers: range) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port))
    for number in numbers:
        transport.sendto(spoken(number))
    await asyncio.sleep(0)
    transport.close()


def test_every_stream_gets_its_own_audio(pool: PortPool) -> None:
    async def scenario() -> None:
        receiver, ears = RtpReceiver(), [Ear(1600) for _ in range(3)]
        for index, ear in enumerate(ears):
            pair = pool.take()
            receiver.open(pair, media(), on_block=ear.block, on_format=print)
            await send(pair.port, range(20 * index, 20 * index + 10))
        assert receiver.streams == 3
        await asyncio.wait_for(asyncio.gather(*(ear.enough.wait() for ear in ears)), 20)
        for index, ear in enumerate(ears):
            assert ear.heard == b"".join(map(speech, range(20 * index, 20 * index + 10)))
        receiver.close()
        assert receiver.streams == 0
        assert receiver.totals().packets == 30
        assert receiver.totals().jitter_s == 0

    asyncio.run(scenario())
    assert pool.free == 4


def test_a_stream_that_fails_does_not_stop_the_others(pool: PortPool, caplog: pytest.LogCaptureFixture) -> None:
    def broken(block: bytes) -> None:
        raise RuntimeError("no room")

    async def scenario() -> None:
        receiver, ear = RtpReceiver(), Ear(800)
        for on_block in (broken, ear.block):
            pair = pool.take()
            receiver.open(pair, media(), on_block=on_block, on_format=print)
            await send(pair.port, range(5))
        await asyncio.wait_for(ear.enough.wait(), 20)
        receiver.close()

    with caplog.at_level(logging.ERROR):
        asyncio.run(scenario())
    assert "an RTP stream failed" in caplog.text
    assert pool.free == 4


def test_streams_may_come_and_go(pool: PortPool) -> None:
    async def scenario() -> None:
        receiver = RtpReceiver()
        for _ in range(2):
            ear, pair = Ear(800), pool.take()
            stream = receiver.open(pair, media(), on_block=ear.block, on_format=print)
            await send(pair.port, range(5))
            await asyncio.wait_for(ear.enough.wait(), 20)
            assert stream.close().packets == 5
            assert receiver.streams == 0
        assert receiver.totals().packets == 10
        receiver.close()

    asyncio.run(scenario())


def test_a_consumer_may_open_and_close_streams_in_its_turn(pool: PortPool) -> None:
    async def scenario() -> None:
        receiver, ear = RtpReceiver(), Ear(800)
        pair, next_pair = pool.take(), pool.take()

        def hand_over(block: bytes) -> None:
            stream.close()
            receiver.open(next_pair, media(), on_block=ear.block, on_format=print)

        stream = receiver.open(pair, media(), on_block=hand_over, on_format=print)
        await send(pair.port, range(5))
        await send(next_pair.port, range(5))
        await asyncio.wait_for(ear.enough.wait(), 20)
        assert receiver.streams == 1
        receiver.close()

    asyncio.run(scenario())
    assert pool.free == 4
