"""A telephone that says exactly what a test wants it to say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import count

from voice_verify.telephony.sip import Endpoint, Request, Response, Transport, parse

from .world import Wireless, World

_numbers = count(1)


def sdp(*lines: str, address: str = "192.0.2.7", direction: str = "sendrecv", version: int = 1) -> str:
    """An offer of G.711, or with the media lines that are given."""
    media = lines or (f"m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}",)
    head = f"v=0\r\no=- 1 {version} IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
    return head + "".join(f"{line}\r\n" for line in media)


class Phone:
    """One call of one telephone; a request is text, and its answer is what came for its CSeq and method."""

    def __init__(
        self, world: World, host: str = "192.0.2.7", transport: Transport = Transport.UDP, port: int | None = None
    ) -> None:
        number = next(_numbers)
        self.world = world
        self.host = host
        self.port = port or 20_000 + number % 40_000
        self.flow = Wireless(Endpoint(transport, host, self.port), Endpoint(transport, "127.0.0.1", 5060))
        world.flows.append(self.flow)
        self.call_id = f"call-{number}@{host}"
        self.tag = f"phone-{number}"
        self.their_tag = ""
        self.target = "sip:anybody@203.0.113.5"
        self.cseq = 0
        self.branches: dict[int, str] = {}

    def text(
        self,
        method: str,
        body: str | bytes = "",
        headers: Mapping[str, str] | None = None,
        *,
        cseq: int | None = None,
        tag: str | None = None,
        branch: str | None = None,
        content_type: str = "application/sdp",
    ) -> bytes:
        """A request; the next CSeq and a new branch unless they are given."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        branch = branch or f"z9hG4bK{next(_numbers)}"
        if method != "ACK":
            self.branches[cseq] = branch
        content = body.encode() if isinstance(body, str) else body
        tag = self.their_tag if tag is None else tag
        lines = {
            "Via": f"SIP/2.0/{self.flow.transport.upper()} {self.host}:{self.port};branch={branch};rport",
            "Max-Forwards": "70",
            "From": f"<sip:phone@{self.host}>;tag={self.tag}",
            "To": "<sip:anybody@203.0.113.5>" + (f";tag={tag}" if tag else ""),
            "Call-ID": self.call_id,
            "CSeq": f"{cseq} {method}",
            "Contact": f"<sip:phone@{self.host}:{self.port}>",
            **({"Content-Type": content_type} if content else {}),
            **(headers or {}),
            "Content-Length": str(len(content)),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        return f"{method} {self.target} SIP/2.0\r\n{head}\r\n".encode() + content

    def send(self, data: bytes) -> None:
        self.world.sip.received(self.flow, parse(data))

    async def ask(self, method: str, *arguments: object, **options: object) -> Response:
        """Send a request and wait for its final answer."""
        self.send(self.text(method, *arguments, **options))  # type: ignore[arg-type]
        return await self.final(method)

    async def final(self, method: str, cseq: int | None = None) -> Response:
        """The final answer to the last request of that method; the tag of the other side is learnt from it."""
        wanted = cseq or self.cseq
        for _ in range(1000):
            for message in self.responses:
                if message.status >= 200 and (message.cseq.number, message.cseq.method) == (wanted, method):
                    if message.status < 300 and method == "INVITE":
                        self.their_tag = message.to_tag or ""
                        contact = message.contact
                        assert contact is not None
                        self.target = contact.uri
                    return message
            await asyncio.sleep(0.02)
        raise AssertionError(f"no answer to {method} {wanted} among {self.flow.sent}")

    @property
    def responses(self) -> list[Response]:
        return [message for message in self.flow.sent if isinstance(message, Response)]

    def requests(self, method: str) -> list[Request]:
        """What the other side asked of us."""
        return [message for message in self.flow.sent if isinstance(message, Request) and message.method == method]

    async def asked(self, method: str) -> Request:
        """The first request of that method of the other side."""
        for _ in range(5000):
            found = self.requests(method)
            if found:
                return found[0]
            await asyncio.sleep(1)
        raise AssertionError(f"no {method} came")

    async def call(self, body: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
        """INVITE and ACK."""
        response = await self.ask("INVITE", sdp() if body is None else body, headers)
        assert response.status == 200, response
        self.ack()
        return response

    def ack(self, body: str = "", cseq: int | None = None) -> None:
        self.send(self.text("ACK", body, cseq=cseq or self.cseq))

    def answer(self, request: Request, status: int = 200, body: str = "", **headers: str) -> None:
        """Answer a request of the other side."""
        lines = [f"SIP/2.0 {status} Answer"]
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            lines += [f"{name}: {value}" for value in request.headers.all(name)]
        lines += [f"Contact: <sip:phone@{self.host}:{self.port}>"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        self.world.sip.received(self.flow, parse("\r\n".join(lines).encode()))

    async def hang_up(self) -> Response:
        return await self.ask("BYE")
