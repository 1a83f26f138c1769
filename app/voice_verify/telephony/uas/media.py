"""The audio of one call: what was agreed with the peer, and a leg for each line of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from voice_verify.telephony.agent import CallInfo, LegEnd, Service
from voice_verify.telephony.rtp import PortPool, RtpReceiver
from voice_verify.telephony.sip.sdp import Direction, Session
from voice_verify.telephony.uas import offers, recording
from voice_verify.telephony.uas.description import Description
from voice_verify.telephony.uas.legs import AudioLeg, with_codec
from voice_verify.telephony.uas.metadata import Document, Metadata
from voice_verify.telephony.uas.offers import Line


@dataclass(frozen=True)
class MediaContext:
    """What all calls share for their audio."""

    ports: PortPool
    receiver: RtpReceiver
    service: Service


class CallMedia:
    """`info` describes the call; each leg gets its own codec, uuid and participant. `over`: no stream is left.

    `address`: ours, as the peer reaches it. `secure`: SRTP is taken. `uuid`: of the call, as the caller gave it.
    """

    def __init__(
        self,
        context: MediaContext,
        info: CallInfo,
        *,
        address: str,
        secure: bool,
        uuid: UUID | None,
        over: Callable[[str], None],
    ) -> None:
        self._context = context
        self._info = info
        self._secure = secure
        self._uuid = uuid
        self._over = over
        self._description = Description(address)
        self._legs: dict[int, AudioLeg] = {}
        # How each leg's line is named, for the answer.
        self._names: dict[int, str] = {}
        self._known = Metadata()
        # The peer has said once that he sends and receives: then to send only is hold, with music or without.
        self._two_way = False

    @property
    def _recording(self) -> bool:
        return self._info.source == "siprec"

    @property
    def body(self) -> bytes:
        """Our description, as it was said last."""
        return self._description.body

    @property
    def uuids(self) -> Mapping[str, str]:
        """The streams' uuids, by the name of their line."""
        return {self._names[index]: leg.uuid for index, leg in self._legs.items()}

    @property
    def silent_s(self) -> float:
        """Seconds since audio came on any line on which it should."""
        silences = [leg.silent_s for leg in self._legs.values()]
        return min((silence for silence in silences if silence is not None), default=0.0)

    def learn(self, document: Document | None) -> None:
        """Metadata of the recording; it counts for lines that come later."""
        if document is not None:
            self._known = self._known.updated(document)

    async def take_offer(self, offer: Session) -> bytes:
        """Our answer; what is heard follows it. Raises Refusal, and then everything is as before."""
        lines = offers.usable(offer, secure=self._secure, several=self._recording)
        legs = self._kept(lines)
        fresh = [line for line in lines if line.index not in legs]
        opened = await self._open(fresh, alone=len(lines) == 1 and not self._legs)
        legs.update(opened)
        for leg in self._legs.values():
            if leg not in legs.values():
                leg.close(LegEnd.client_closed)
        self._legs = legs
        self._names = {line.index: line.name for line in lines}
        places = {line.index: legs[line.index].place(line) for line in lines}
        for line in lines:
            self._receive(line, music=self._two_way and line.direction is Direction.sendonly)
        return self._description.answer(offer, lines, places)

    async def make_offer(self) -> bytes:
        """Our offer: the first one of the call, or again what is agreed, but for hold. Raises Refusal."""
        if self._legs:
            return self._description.offer_again()
        leg = AudioLeg(self._context.ports)
        try:
            await leg.open(self._context.service, replace(self._info, uuid=self._uuid), self._lost)
        except BaseException:
            leg.close(LegEnd.client_closed)
            raise
        self._legs[0] = leg
        self._names[0] = "1"
        return self._description.offer(leg.place(None))

    def take_answer(self, answer: Session, *, refresh: bool = False) -> bool:
        """The peer's answer to our description; whether any audio is agreed.

        We offer to receive only, to which `sendonly` is the answer of a peer that sends a voice (RFC 3264, section
        6.1). To a `refresh`, which says again what holds, it is no news.
        """
        for index, leg in list(self._legs.items()):
            line = offers.agreed(self._description.media[index], index, answer)
            if line is None:
                leg.close(LegEnd.client_closed)
                self._description.drop(index)
                del self._legs[index], self._names[index]
            else:
                self._receive(line, music=refresh and leg.held and line.direction is Direction.sendonly)
        return bool(self._legs)

    def close(self, reason: LegEnd) -> None:
        """Give all legs back; again is harmless."""
        for leg in self._legs.values():
            leg.close(reason)

    def _kept(self, lines: list[Line]) -> dict[int, AudioLeg]:
        """Legs that go on, by the place of their line in a new offer."""
        if self._recording:
            return {line.index: self._legs[line.index] for line in lines if line.index in self._legs}
        # The one leg of a plain call follows the audio, wherever that moves.
        return {line.index: leg for line, leg in zip(lines, self._legs.values(), strict=False)}

    async def _open(self, lines: list[Line], *, alone: bool) -> dict[int, AudioLeg]:
        """A leg for each line, all or none; raises Refusal."""
        opened: dict[int, AudioLeg] = {}
        try:
            for line in lines:
                opened[line.index] = AudioLeg(self._context.ports)
                info = with_codec(self._for_line(line, alone=alone), line)
                await opened[line.index].open(self._context.service, info, self._lost)
        except BaseException:
            for leg in opened.values():
                leg.close(LegEnd.client_closed)
            raise
        return opened

    def _for_line(self, line: Line, *, alone: bool) -> CallInfo:
        if not self._recording:
            return replace(self._info, uuid=self._uuid)
        uuid = recording.stream_uuid(self._uuid, line.name, self._known, alone=alone)
        participant = recording.name_of(self._known.speaker(line.name))
        return replace(self._info, uuid=uuid, participant=participant)

    def _receive(self, line: Line, *, music: bool) -> None:
        if line.direction is Direction.sendrecv and not self._recording:
            self._two_way = True
        self._legs[line.index].receive(self._context.receiver, line, held=line.silent or music)

    def _lost(self, reason: str) -> None:
        """The service has ended a stream: the others of the call go on."""
        if all(leg.over for leg in self._legs.values()):
            self._over(reason)
