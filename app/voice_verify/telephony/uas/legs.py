"""One audio leg of a call: a pair of ports, a stream of the service, and the RTP in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from voice_verify.telephony.agent import CallInfo, Codec, Leg, LegEnd, Refused, Service
from voice_verify.telephony.rtp import (
    MediaFormat,
    NoPorts,
    Output,
    PortPair,
    PortPool,
    RtpReceiver,
    RtpStream,
    SrtpKeys,
    new_key,
)
from voice_verify.telephony.uas import refusals
from voice_verify.telephony.uas.description import Place
from voice_verify.telephony.uas.offers import Line


class AudioLeg:
    """Owns its ports from the start, its stream once it is open, and gives both back by `close`."""

    def __init__(self, ports: PortPool) -> None:
        """Raises Refusal when no port is free."""
        try:
            self._pair: PortPair = ports.take()
        except NoPorts as error:
            raise refusals.no_ports() from error
        self._key: bytes | None = None
        self._suite = ""
        self._leg: Leg | None = None
        # What the service was told that the audio is.
        self._output: Output | None = None
        self._rtp: RtpStream | None = None
        # Nothing is to be heard now.
        self.held = False
        # The service has ended the stream; the line stays until the call ends.
        self.over = False

    async def open(self, service: Service, info: CallInfo, ended: Callable[[str], None]) -> None:
        """Ask the service for a stream; raises Refusal. `ended` tells that the service has ended it."""

        def over(reason: str) -> None:
            if not self.over:
                self.over = True
                ended(reason)

        try:
            self._leg = await service.open(info, over)
        except Refused as refused:
            raise refusals.by_service(refused) from refused
        self._output = Output(info.codec, info.rate)

    @property
    def uuid(self) -> str:
        """Of the stream; empty before it is open."""
        return "" if self._leg is None else str(self._leg.uuid)

    def place(self, line: Line | None) -> Place:
        """What our description says of this leg; `line` None for an offer of ours, which is never encrypted."""
        crypto = None if line is None else line.crypto
        if crypto is None:
            return Place(self._pair.port)
        if self._key is None or self._suite != crypto.suite:
            self._key, self._suite = new_key(), crypto.suite
        return Place(self._pair.port, self._key)

    def receive(self, receiver: RtpReceiver, line: Line, *, held: bool) -> None:
        """From now on audio is what was agreed for `line`."""
        media = self._format(line, held=held)
        if self._rtp is None:
            self._rtp = receiver.open(self._pair, media, on_block=self._heard, on_format=self._changed)
            self._changed(self._rtp.output)
        else:
            self._rtp.update(media)
        if self._leg is not None and held != self.held:
            self._leg.hold(held)
        self.held = held

    @property
    def silent_s(self) -> float | None:
        """Seconds without a packet; None while none has to come."""
        return None if self._rtp is None or self.held or self.over else self._rtp.silent_s

    def close(self, reason: LegEnd) -> None:
        """Give everything back; again is harmless."""
        if self._rtp is not None:
            # Hands over the last audio.
            self._rtp.close()
        self._pair.close()
        self.over = True
        if self._leg is not None:
            self._leg.end(reason)

    def _format(self, line: Line, *, held: bool) -> MediaFormat:
        keys = None
        if line.crypto is not None and self._key is not None:
            keys = SrtpKeys(line.crypto.suite, line.crypto.key, self._key)
        formats = dict(line.formats)
        return MediaFormat(formats, line.remote, line.rtcp, line.rtcp_mux, keys, held)

    def _heard(self, block: bytes) -> None:
        if self._leg is not None and not self.over:
            self._leg.audio(block)

    def _changed(self, output: Output) -> None:
        if self._leg is not None and output != self._output:
            self._output = output
            self._leg.codec(name_of(output), output.rate)


def with_codec(info: CallInfo, line: Line) -> CallInfo:
    """The same call, with the audio of that line."""
    output = line.codec.output
    assert output is not None  # noqa: S101 - a Line has a codec that is decoded
    return replace(info, codec=name_of(output), rate=output.rate)


def name_of(output: Output) -> Codec:
    """The service's word for what is handed over."""
    return cast("Codec", output.codec)
