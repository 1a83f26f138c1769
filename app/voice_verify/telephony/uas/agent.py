"""The user agent of the telephony process: sockets, SIP, RTP, registrations and calls, put together."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from dataclasses import asdict

from voice_verify.telephony.agent import AgentError, PbxInstance, Service, TelephonyConfig
from voice_verify.telephony.registration import Registrations
from voice_verify.telephony.rtp import PortPool, RtpReceiver
from voice_verify.telephony.sip import Flow, Request, ServerTransaction, Sip, Transports
from voice_verify.telephony.uas.admission import Admission
from voice_verify.telephony.uas.media import MediaContext
from voice_verify.telephony.uas.pbxs import Pbxs
from voice_verify.telephony.uas.place import Place
from voice_verify.telephony.uas.server import ServerContext, UserAgentServer
from voice_verify.telephony.uas.wire import Wire

log = logging.getLogger(__name__)

USER_AGENT = "voice-verify"
_COUNT_S = 1.0


class TelephonyAgent:
    """What svc's process runs; everything belongs to the loop in which it is started."""

    def __init__(self) -> None:
        self._running: _Running | None = None

    async def start(self, config: TelephonyConfig, service: Service) -> None:
        """Raises AgentError for a certificate that cannot be used, and OSError for a port that is taken."""
        tls = _certificate(config)
        running = self._running = _Running(config, service)
        try:
            await running.listen(tls)
        except BaseException:
            await self.stop()
            raise
        running.configure(config.pbx)

    async def configure(self, pbx: Sequence[PbxInstance]) -> None:
        if self._running is not None:
            self._running.configure(pbx)

    async def stop(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            await running.stop()


class _Running:
    """The parts of an agent that has started."""

    def __init__(self, config: TelephonyConfig, service: Service) -> None:
        loop = asyncio.get_running_loop()
        counters = self._counters = service.counters
        self._config = config
        self._transports = Transports(count=self._count)
        self._sip = Sip(
            self._transports,
            user_agent=USER_AGENT,
            on_request=self._take,
            on_ack=self._acknowledged,
            count=self._count,
        )
        self._receiver = RtpReceiver()
        # Audio comes directly, also where an edge stands in front of the signalling.
        ports = PortPool(config.rtp_host, config.rtp_first, config.rtp_last)
        self._registrations = Registrations(self._sip, self._transports, config, service)
        self._pbxs = Pbxs(self._registrations.instance_of)
        self._server = UserAgentServer(
            ServerContext(
                loop,
                counters,
                Wire(self._sip, self._transports),
                MediaContext(ports, self._receiver, service),
                Admission(config, self._pbxs, counters, loop.time),
                Place(config.advertised, config.public_port, config.public_tls_port, config.tls_port is not None),
            )
        )
        self._looking_up: asyncio.Task[None] | None = None
        self._counted: dict[str, float] = {}
        self._counting = loop.call_later(_COUNT_S, self._count_audio)
        counters.watch("rtp_ports_free", lambda: ports.free)
        counters.watch("rtp_jitter_seconds", lambda: self._receiver.totals().jitter_s)
        counters.watch("sip_connections", lambda: self._transports.connections)

    async def listen(self, tls: ssl.SSLContext | None) -> None:
        """Raises OSError."""
        host, port = self._config.host, self._config.port
        await self._transports.listen_udp(host, port)
        await self._transports.listen_tcp(host, port)
        if tls is not None and self._config.tls_port is not None:
            await self._transports.listen_tls(host, self._config.tls_port, tls)
        log.info("listening for calls", extra={"fields": {"host": host, "port": port}})

    def configure(self, pbx: Sequence[PbxInstance]) -> None:
        self._pbxs.configure(pbx)
        self._registrations.configure(pbx)
        if self._looking_up is not None:
            self._looking_up.cancel()
        self._looking_up = asyncio.ensure_future(self._pbxs.look_up())

    async def stop(self) -> None:
        self._counting.cancel()
        if self._looking_up is not None:
            self._looking_up.cancel()
        await asyncio.gather(self._server.stop(), self._registrations.stop())
        self._receiver.close()
        await self._sip.close()

    # The layer is there before the server, which sends through it.

    def _take(self, transaction: ServerTransaction) -> None:
        self._server.take(transaction)

    def _acknowledged(self, ack: Request, flow: Flow) -> None:
        self._server.acknowledged(ack, flow)

    def _count(self, name: str, label: str = "") -> None:
        self._counters.add(name, kind=label)

    def _count_audio(self) -> None:
        """What came in since the last time."""
        self._counting = asyncio.get_running_loop().call_later(_COUNT_S, self._count_audio)
        totals = {name: value for name, value in asdict(self._receiver.totals()).items() if name != "jitter_s"}
        for name, value in totals.items():
            self._counters.add(f"rtp_{name}", value - self._counted.get(name, 0))
        self._counted = totals


def _certificate(config: TelephonyConfig) -> ssl.SSLContext | None:
    """Ours, for peers that call over TLS; None when there is none. Raises AgentError."""
    if config.tls_port is None or config.tls_certificate is None or config.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise AgentError(
            f"the certificate for SIP cannot be used ({error.strerror or error})",
            hint="VV_SIP_TLS_CERTIFICATE and VV_SIP_TLS_KEY name PEM files that belong together",
        ) from error
    return context
