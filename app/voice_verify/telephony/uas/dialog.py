"""A dialog on the side of who was called (RFC 3261, section 12): its identity, its order, its route."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import NamedTuple

from voice_verify.telephony.sip import Headers, NameAddress, Request, ServerTransaction

# RFC 3261, section 8.1.1.5: below 2^31, with room to count.
_FIRST_CSEQ = 1 << 30


class DialogId(NamedTuple):
    """What tells dialogs apart (section 12)."""

    call_id: str
    local_tag: str
    remote_tag: str


@dataclass
class Dialog:
    """`local` and `remote` are To and From of the INVITE; `target` is where the peer wants requests of this dialog."""

    id: DialogId
    local: NameAddress
    remote: NameAddress
    target: str
    routes: tuple[str, ...]
    remote_cseq: int
    local_cseq: int

    @classmethod
    def of(cls, transaction: ServerTransaction) -> Dialog:
        """The dialog that the 2xx to this INVITE makes (section 12.1.1)."""
        request = transaction.request
        remote = request.from_
        contact = request.contact
        return cls(
            DialogId(request.call_id, transaction.to_tag, request.from_tag or ""),
            local=request.to.with_tag(transaction.to_tag),
            remote=remote,
            target=contact.uri if contact is not None else remote.uri,
            routes=tuple(request.headers.items("Record-Route")),
            remote_cseq=request.cseq.number,
            local_cseq=secrets.randbelow(_FIRST_CSEQ) + 1,
        )

    @property
    def next_hop(self) -> str:
        """URI of whom our requests are sent to."""
        return NameAddress.parse(self.routes[0]).uri if self.routes else self.target

    def in_order(self, request: Request) -> bool:
        """Whether the request is newer than all before; if it is, it is the newest now (section 12.2.2)."""
        if request.cseq.number <= self.remote_cseq:
            return False
        self.remote_cseq = request.cseq.number
        return True

    def refresh_target(self, request: Request) -> None:
        """Take the Contact of a re-INVITE or UPDATE that was accepted (section 12.2)."""
        contact = request.contact
        if contact is not None:
            self.target = contact.uri

    def request(self, method: str, *, cseq: int | None = None) -> Request:
        """A request of ours in this dialog; `cseq` only for an ACK, which has that of its INVITE (section 13.2.2.4).

        All proxies are taken for loose routers, as every proxy since RFC 3261 is.
        """
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        headers = Headers(
            [
                ("Max-Forwards", "70"),
                *(("Route", route) for route in self.routes),
                ("From", str(self.local)),
                ("To", str(self.remote)),
                ("Call-ID", self.id.call_id),
                ("CSeq", f"{cseq} {method}"),
            ]
        )
        return Request(headers, method=method, uri=self.target)


def of_request(request: Request) -> DialogId | None:
    """Which dialog a request of the peer is meant for; None when it is for none (section 12.2.2)."""
    local_tag = request.to_tag
    if not local_tag:
        return None
    return DialogId(request.call_id, local_tag, request.from_tag or "")
