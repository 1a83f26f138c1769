"""A telephone of a customer's PBX: calls another extension with digest and hangs up; neither speaks nor listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from tests.media.kamailio import Kamailio
from voice_verify.telephony.sip import Endpoint, Flow, Headers, Request, Response, Sip, Transport, Transports
from voice_verify.telephony.sip.digest import Login

# Nobody listens there.
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n"


@asynccontextmanager
async def call(pbx: Kamailio, caller: str, password: str, extension: str) -> AsyncIterator[Response]:
    """The answer of the extension; when it took the call, the call lasts as long as the block."""
    sip = Sip(Transports(), user_agent="phone", on_request=lambda _: None, on_ack=lambda *_: None)
    await sip.transports.listen_udp("127.0.0.1", 0)
    flow = await sip.transports.connect(Endpoint(Transport.UDP, pbx.address, pbx.port))
    try:
        invite = _invite(pbx, flow, caller, extension)
        answer = await sip.request(_copy(invite), flow)
        if answer.status == 407:
            invite.headers.set("CSeq", "2 INVITE")
            Login(caller, password).answer(answer, invite)
            answer = await sip.request(_copy(invite), flow)
        if answer.status == 200:
            sip.send_ack(_in_dialog(invite, answer, "ACK", 2), flow, answers=answer)
        yield answer
        if answer.status == 200:
            goodbye = await sip.request(_in_dialog(invite, answer, "BYE", 3), flow)
            assert goodbye.status == 200, goodbye
    finally:
        await sip.close()


def _invite(pbx: Kamailio, flow: Flow, caller: str, extension: str) -> Request:
    headers = Headers(
        [
            ("From", f"<sip:{caller}@{pbx.address}>;tag={uuid4().hex[:8]}"),
            ("To", f"<sip:{extension}@{pbx.address}>"),
            ("Call-ID", uuid4().hex),
            ("CSeq", "1 INVITE"),
            ("Contact", f"<sip:{caller}@{flow.local.host}:{flow.local.port}>"),
            ("Content-Type", "application/sdp"),
        ]
    )
    uri = f"sip:{extension}@{pbx.address}:{pbx.port}"
    return Request(method="INVITE", uri=uri, headers=headers, body=OFFER.encode())


def _in_dialog(invite: Request, answer: Response, method: str, number: int) -> Request:
    """RFC 3261, section 12.2.1.1."""
    headers = Headers(
        [
            ("From", str(invite.from_)),
            ("To", str(answer.to)),
            ("Call-ID", invite.call_id),
            ("CSeq", f"{number} {method}"),
            *(("Route", route) for route in reversed(answer.headers.items("Record-Route"))),
        ]
    )
    return Request(method=method, uri=answer.contact.uri if answer.contact else invite.uri, headers=headers)


def _copy(request: Request) -> Request:
    """What the transaction layer may add to."""
    return Request(method=request.method, uri=request.uri, headers=request.headers.copy(), body=request.body)
