"""Between sockets and user agent: every request once, every answer to its question (RFC 3261 sections 8, 9, 17, 18)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress

from voice_verify.telephony.sip.clock import Clock
from voice_verify.telephony.sip.counters import Count, ignore
from voice_verify.telephony.sip.errors import BadMessage, BadSyntax, FailureCode, SipError, TransportFailed
from voice_verify.telephony.sip.fields import MAGIC_COOKIE, Via
from voice_verify.telephony.sip.message import Message, Request, Response, reply
from voice_verify.telephony.sip.transactions import ClientTransaction, ServerTransaction
from voice_verify.telephony.sip.transactions.keys import Key, merge_key, server_key
from voice_verify.telephony.sip.transport.flow import Flow
from voice_verify.telephony.sip.transport.transports import Transports

log = logging.getLogger(__name__)

# A transaction over UDP is kept for 32 s: 150 requests a second, which 350 calls of three minutes do not make. What
# belongs to a call that runs, its BYE above all, is taken beyond that.
_TRANSACTIONS = 5000


class Sip:
    """The transaction layer of one user agent; the receiver of `transports`."""

    def __init__(
        self,
        transports: Transports,
        *,
        user_agent: str,
        on_request: Callable[[ServerTransaction], None],
        on_ack: Callable[[Request, Flow], None],
        clock: Clock | None = None,
        count: Count = ignore,
    ) -> None:
        self.transports = transports
        self.user_agent = user_agent
        # Every request once, but ACK and CANCEL.
        self.on_request = on_request
        # Every ACK of a 2xx, as often as it comes.
        self.on_ack = on_ack
        self._clock = clock
        self._count = count
        self._servers: dict[Key, ServerTransaction] = {}
        self._merged: dict[Key, Key] = {}
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        transports.receiver = self

    @property
    def clock(self) -> Clock:
        """The clock that was given, or the running loop."""
        return self._clock or asyncio.get_running_loop()

    def received(self, flow: Flow, message: Message) -> None:
        """A message came."""
        if isinstance(message, Request):
            self._request(flow, message)
        else:
            self._response(message)

    def received_bad(self, flow: Flow, error: BadMessage) -> None:
        """Garbage came: count it, and answer where that is possible."""
        self._count("sip_bad_messages", str(error.status))
        log.info("%s sent garbage: %s", flow.remote, error.reason)
        if error.request is not None:
            self._answer(flow, error.request, error.status, error.reason)

    def _answer(
        self, flow: Flow, request: Request, status: int, reason: str | None = None, *headers: tuple[str, str]
    ) -> None:
        """Answer without a transaction: a request that comes again is answered again."""
        try:
            # The Via of garbage may be garbage, and goes back as it came.
            with suppress(BadSyntax):
                _note_source(request, flow)
            flow.send(reply(request, status, reason, to_tag=secrets.token_hex(8), headers=headers).encode())
        except TransportFailed as error:
            self._count("sip_unsent", error.code)

    def _request(self, flow: Flow, request: Request) -> None:
        key = server_key(request, flow.remote.host)
        known = self._servers.get(key)
        if request.method == "ACK":
            if known is not None and known.final is not None and known.final.status >= 300:
                known.acknowledged()
            else:
                self.on_ack(request, flow)
        elif known is not None:
            known.repeated()
        elif len(self._servers) >= (_TRANSACTIONS if request.to_tag is None else 2 * _TRANSACTIONS):
            # Not 503: a proxy would leave this server alone, also for the calls that run (section 21.5.4).
            self._count("sip_transactions_full")
            self._answer(flow, request, 480, None, ("Retry-After", "10"))
        elif request.method != "CANCEL" and self._came_before(request):
            self._count("sip_merged_requests")
            self._answer(flow, request, 482)
        else:
            self._serve(flow, request, key)

    def _serve(self, flow: Flow, request: Request, key: Key) -> None:
        invite = self._servers.get(server_key(request, flow.remote.host, "INVITE"))
        _note_source(request, flow)
        transaction = ServerTransaction(request, flow, self.clock, self._count, on_end=lambda _: self._forget(key))
        self._servers[key] = transaction
        if request.method != "CANCEL":
            self._merged[merge_key(request)] = key
            self._give(transaction)
        elif invite is None:
            transaction.reply(481)
        else:
            transaction.to_tag = invite.to_tag
            transaction.reply(200)
            invite.cancelled()

    def _came_before(self, request: Request) -> bool:
        """Whether a proxy sends us the same request twice, by two ways (section 8.2.2.2).

        What was refused may be tried again: a hunt group does so without a new CSeq.
        """
        first = self._servers.get(self._merged.get(merge_key(request), ()))
        return request.to_tag is None and first is not None and (first.final is None or first.final.status < 300)

    def _give(self, transaction: ServerTransaction) -> None:
        """To the user, whose faults end neither the socket, which others use, nor leave the peer without an answer."""
        try:
            self.on_request(transaction)
        except Exception:
            self._count("sip_internal_errors")
            log.exception("%s of %s could not be served", transaction.request.method, transaction.flow.remote)
            transaction.reply(500)

    def _forget(self, key: Key) -> None:
        transaction = self._servers.pop(key, None)
        if transaction is not None and self._merged.get(merge_key(transaction.request)) == key:
            del self._merged[merge_key(transaction.request)]

    def _response(self, response: Response) -> None:
        vias = response.vias
        transaction = self._clients.get((vias[0].branch, response.cseq.method))
        # Another Via means that it was for somebody behind us (section 18.1.2).
        if transaction is None or len(vias) > 1:
            self._count("sip_responses_unmatched")
            return
        transaction.received(response)

    def closed(self, flow: Flow) -> None:
        """A connection is closed: nothing will be answered on it."""
        error = TransportFailed(FailureCode.CLOSED, f"{flow.remote}: the connection was closed")
        for transaction in list(self._clients.values()):
            if transaction.flow is flow:
                transaction.fail(error)

    async def request(
        self,
        request: Request,
        flow: Flow,
        *,
        sent_by: tuple[str, int] | None = None,
        on_provisional: Callable[[Response], None] | None = None,
    ) -> Response:
        """Send a request and give its final response, whatever that is.

        Via is added here, and Max-Forwards and User-Agent where they are missing; `sent_by` is the host and port that
        Via names (our address otherwise). Raises TransportFailed and TransactionTimeout. When the waiting task is
        cancelled, the transaction ends with it. An INVITE has no limit of time once it was answered provisionally.
        """
        branch = self._add_via(request, flow, sent_by)
        answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def responded(response: Response) -> None:
            if response.status >= 200:
                if not answer.done():
                    answer.set_result(response)
            elif on_provisional is not None:
                on_provisional(response)

        def failed(error: SipError) -> None:
            if not answer.done():
                answer.set_exception(error)

        def ended(_: ClientTransaction) -> None:
            self._clients.pop(key, None)

        key = (branch, request.method)
        transaction = ClientTransaction(
            request,
            flow,
            self.clock,
            self._count,
            on_response=responded,
            on_failure=failed,
            on_end=ended,
        )
        self._clients[key] = transaction
        try:
            transaction.start()
            return await answer
        except (asyncio.CancelledError, TransportFailed):
            transaction.abandon()
            raise

    def send_ack(self, ack: Request, flow: Flow, *, answers: Response, sent_by: tuple[str, int] | None = None) -> None:
        """Acknowledge the 2xx of a re-INVITE of ours, now and whenever it comes again; raises TransportFailed."""
        self._add_via(ack, flow, sent_by)
        transaction = self._clients.get((answers.vias[0].branch, "INVITE"))
        if transaction is None:
            flow.send(ack.encode())
        else:
            transaction.acknowledge(ack.encode())

    def _add_via(self, request: Request, flow: Flow, sent_by: tuple[str, int] | None) -> str:
        host, port = sent_by or (flow.local.host, flow.local.port)
        branch = MAGIC_COOKIE + secrets.token_hex(12)
        shown = f"[{host}]" if ":" in host else host
        via = Via(flow.transport.upper(), shown, port, {"branch": branch, "rport": None})
        request.headers.insert("Via", str(via))
        if "Max-Forwards" not in request.headers:
            request.headers.add("Max-Forwards", "70")
        if "User-Agent" not in request.headers:
            request.headers.add("User-Agent", self.user_agent)
        return branch

    async def close(self) -> None:
        """End all transactions and close the transports."""
        for server in list(self._servers.values()):
            server.abandon()
        gone = TransportFailed(FailureCode.CLOSED, "the user agent is stopping")
        for client in list(self._clients.values()):
            client.fail(gone)
        await self.transports.close()


def _note_source(request: Request, flow: Flow) -> None:
    """Write into the newest Via where the request came from (section 18.2.1, RFC 3581)."""
    via = Via.parse(request.headers.items("Via")[0])
    hops = [str(via.with_source(flow.remote.host, flow.remote.port)), *request.headers.items("Via")[1:]]
    request.headers.remove("Via")
    for hop in reversed(hops):
        request.headers.insert("Via", hop)
