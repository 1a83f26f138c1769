"""Our own refresh of a session: an UPDATE, or a re-INVITE that says again what was agreed (RFC 4028, section 10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voice_verify.telephony.sip import Flow, Response
from voice_verify.telephony.uas import bodies
from voice_verify.telephony.uas.dialog import Dialog
from voice_verify.telephony.uas.media import CallMedia
from voice_verify.telephony.uas.refusals import Refusal
from voice_verify.telephony.uas.wire import Wire


@dataclass(frozen=True)
class Refresh:
    """`headers` stand in every refresh; `nothing_agreed`: the peer's answer takes no audio any more."""

    dialog: Dialog
    media: CallMedia
    wire: Wire
    headers: Sequence[tuple[str, str]]
    flow: Callable[[], Flow]
    nothing_agreed: Callable[[], None]

    async def send(self, *, update: bool, headers: Sequence[tuple[str, str]]) -> Response:
        """The final answer, whatever it is; raises SipError."""
        request = self.dialog.request("UPDATE" if update else "INVITE")
        for header in [*self.headers, *headers]:
            request.headers.add(*header)
        if not update:
            request.headers.add("Content-Type", bodies.SDP)
            request.body = self.media.body
        cseq = request.cseq.number
        response = await self.wire.request(request, self.flow(), self.dialog.next_hop)
        if not update and response.status < 300:
            ack = self.dialog.request("ACK", cseq=cseq)
            await self.wire.ack(ack, self.flow(), self.dialog.next_hop, response)
            self._take_answer(response)
        return response

    def _take_answer(self, response: Response) -> None:
        try:
            answer = bodies.read(response).session
        except Refusal:
            answer = None
        # Without a description nothing is changed, whatever RFC 3264 asks for.
        if answer is not None and not self.media.take_answer(answer, refresh=True):
            self.nothing_agreed()
