"""Calls of a customer to an agent through Asterisk, which forks the customer's voice to the service; both talk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from tests.contract import speech
from tests.contract.running import Service, until
from tests.media import observe
from tests.media.baresip import Phone
from tests.media.conftest import StartPhone

from . import documented
from .ari import Application
from .program import Asterisk

CUSTOMER, AGENT = speech.ANNA, speech.BRUNO
# In etc/pjsip.conf.
PASSWORDS = {"caller": "of-the-caller", "agent": "of-the-agent"}
# In etc/extensions.conf; every number is a call that the documentation's dialplan forks.
PLAIN, FORKED = "plain", "100"


class Calls:
    def __init__(self, service: Service, phone: StartPhone) -> None:
        self._service = service
        self._phone = phone

    @contextmanager
    def by_dialplan(self, pbx: Asterisk) -> Iterator[str]:
        """The uuid that the dialplan gave the stream; the caller hangs up in the end."""
        caller = self._call(pbx, FORKED, "pcma")
        yield pbx.variable("PJSIP/caller", "VV_UUID")
        caller.hang_up()
        observe.until_none(self._service)

    @contextmanager
    def by_ari(self, pbx: Asterisk, section: documented.Section, *, codec: str = "pcma") -> Iterator[str]:
        """The same for an ARI application that does what the section says."""
        with Application(pbx.address) as application:
            caller = self._call(pbx, PLAIN, codec)
            uuid = str(uuid4())
            words = {"CHANNEL": application.channel("PJSIP/caller"), "UUID": uuid}
            snoop, fork = application.fork(documented.requests(section), words)
            application.press(fork, "5")
            yield uuid
            caller.hang_up()
            application.wait("StasisEnd", snoop)
            application.delete(fork)
        observe.until_none(self._service)

    def decide(self, uuid: str) -> None:
        """The customer is heard in that stream, and the agent is not."""
        for who, decision in ((CUSTOMER, "verified"), (AGENT, "not_verified")):
            answer = observe.decide(self._service, uuid, who)
            assert answer["decision"] == decision, answer

    def _call(self, pbx: Asterisk, number: str, codec: str) -> Phone:
        accounts = {
            name: f"<sip:{name}@{pbx.address}>;auth_pass={password};audio_codecs={codec}"
            for name, password in PASSWORDS.items()
        }
        self._phone(f"{accounts['agent']};answermode=auto", AGENT)
        caller = self._phone(accounts["caller"], CUSTOMER)
        until(lambda: all(f"{name}/sip" in pbx.command("pjsip show contacts") for name in accounts))
        caller.call(f"sip:{number}@{pbx.address}")
        return caller
