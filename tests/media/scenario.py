"""Scenarios of sipp, put together from the steps of a call.

    Scenario().invite().receive(200).ack().play(speech).pause(3).bye()

Sequence numbers, branches and tags follow RFC 3261; everything that a step does not name is sipp's to fill in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

BRANCH = "[branch]"
SDP = """v=0
o=sipp 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [auto_media_port] RTP/AVP {payloads}
{maps}
a=ptime:20
a={direction}"""
MAPS = {
    8: "a=rtpmap:8 PCMA/8000",
    0: "a=rtpmap:0 PCMU/8000",
    18: "a=rtpmap:18 G729/8000",
    101: "a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16",
}


class Scenario:
    """Steps of one caller."""

    def __init__(self, *, uuid: str = "", headers: str = "") -> None:
        """`uuid` of the stream that the call is to become; `headers` are further lines of the first INVITE."""
        self._headers = "".join(f"{line}\n" for line in (f"X-Stream-UUID: {uuid}" if uuid else "", headers) if line)
        self._steps: list[str] = []
        self._sequence = 0
        self._version = 0
        self._invited_at = 0
        self._established = False

    def offer(self, payloads: tuple[int, ...] = (8, 0, 101), *, direction: str = "sendrecv") -> str:
        """A session description (RFC 4566) with the next version number."""
        self._version += 1
        maps = "\n".join(MAPS[payload] for payload in payloads)
        return SDP.format(version=self._version, payloads=" ".join(map(str, payloads)), maps=maps, direction=direction)

    def invite(self, body: str | None = None, *, headers: str = "") -> Self:
        """INVITE, and in a call a re-INVITE; `body` None: the usual offer, "": no offer."""
        self._sequence += 1
        self._invited_at = len(self._steps)
        headers = f"{headers}\n" if headers else ""
        headers = headers if self._established else self._headers + headers
        return self._send("INVITE", self.offer() if body is None else body, headers=headers)

    def request(self, method: str, body: str = "", *, headers: str = "") -> Self:
        """Any other request of the call, which is answered with a final response of its own."""
        self._sequence += 1
        return self._send(method, body, headers=f"{headers}\n" if headers else "")

    def receive(self, status: int, *, header: str = "", value: str = "") -> Self:
        """Wait for that response; with `header`, its text must match the regular expression `value`."""
        if status >= 200:
            self._maybe(100, 180, 183)
        action = ""
        if header:
            # sipp fails the call when it does not match.
            action = (
                f'\n  <action><ereg regexp="{value}" search_in="hdr" header="{header}:" check_it="true" '
                f'assign_to="checked"/></action>\n  '
            )
        self._established = self._established or status == 200
        authentication = ' auth="true"' if status in (401, 407) else ""
        self._steps.append(f'<recv response="{status}"{authentication} rrs="true">{action}</recv>')
        return self

    def receive_request(self, method: str) -> Self:
        """Wait for a request of the other side and answer it with 200."""
        self._steps.append(f'<recv request="{method}"/>')
        copied = "\n".join(f"[last_{name}:]" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
        return self._message(f"SIP/2.0 200 OK\n{copied}\nContent-Length: 0\n")

    def ack(self, body: str = "") -> Self:
        """Of a 2xx: a transaction of its own (RFC 3261 section 13.2.2.4); with the answer when it held an offer."""
        return self._send("ACK", body)

    def ack_refusal(self) -> Self:
        """Of any other final response: in the transaction of the INVITE (section 17.1.1.3)."""
        return self._send("ACK", "", branch=self._branch_of_invite())

    def cancel(self) -> Self:
        """In the transaction of the INVITE (section 9.1)."""
        self._maybe(100, 180, 183)
        return self._send("CANCEL", "", branch=self._branch_of_invite())

    def play(self, capture: Path) -> Self:
        """Begin to send captured RTP; it goes on during the steps that follow."""
        self._steps.append(f'<nop><action><exec play_pcap_audio="{capture}"/></action></nop>')
        return self

    def pause(self, seconds: float) -> Self:
        self._steps.append(f'<pause milliseconds="{round(seconds * 1000)}"/>')
        return self

    def bye(self) -> Self:
        return self.request("BYE").receive(200)

    def xml(self) -> str:
        steps = "\n".join(self._steps)
        reference = '\n<Reference variables="checked"/>' if "checked" in steps else ""
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="calls">\n{steps}{reference}\n</scenario>\n'

    def _maybe(self, *statuses: int) -> None:
        self._steps += [f'<recv response="{status}" optional="true"/>' for status in statuses]

    def _branch_of_invite(self) -> str:
        """The branch of a message is named by how many steps before this one it was sent."""
        return f"[branch-{len(self._steps) - self._invited_at}]"

    def _send(self, method: str, body: str, *, headers: str = "", branch: str = BRANCH) -> Self:
        in_dialog = self._established or method == "ACK"
        target = "[next_url]" if self._established else "sip:[service]@[remote_ip]:[remote_port];transport=[transport]"
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch};rport",
            *(["[routes]"] if self._established else []),
            "Max-Forwards: 70",
            'From: "Caller" <sip:caller@[local_ip]:[local_port]>;tag=[pid]-[call_number]',
            f"To: <sip:[service]@[remote_ip]:[remote_port]>{'[peer_tag_param]' if in_dialog else ''}",
            "Call-ID: [call_id]",
            f"CSeq: {self._sequence} {method}",
            "Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>",
            *headers.splitlines(),
            *(["Content-Type: application/sdp"] if body else []),
            "Content-Length: [len]",
        ]
        attributes = "" if method == "ACK" else ' retrans="500"'
        return self._message("\n".join(lines) + "\n\n" + body, attributes)

    def _message(self, text: str, attributes: str = "") -> Self:
        self._steps.append(f"<send{attributes}><![CDATA[\n{text}\n]]></send>")
        return self
