"""Values of header fields: lists, parameters, CSeq, Via, Content-Type (RFC 3261 sections 7.3.1, 20 and 25.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from voice_verify.telephony.sip.errors import BadSyntax

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"  # noqa: S105 - a token of the grammar
TOKEN = re.compile(_TOKEN)
HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9_.\-]*[A-Za-z0-9.])?")
# What a branch of RFC 3261 begins with; others are from the time of RFC 2543.
MAGIC_COOKIE = "z9hG4bK"
# CSeq numbers are below that (section 8.1.1.5).
_CSEQ_END = 2**31
_DIGITS = re.compile(r"[0-9]{1,32}")
_CSEQ = re.compile(rf"([0-9]{{1,32}})\s+({_TOKEN})")
_VIA = re.compile(
    rf"SIP\s*/\s*2\.0\s*/\s*(?P<transport>{_TOKEN})\s+(?P<host>{HOST.pattern})\s*"
    r"(?::\s*(?P<port>[0-9]{1,5})\s*)?(?P<parameters>;.*)?",
    re.IGNORECASE | re.DOTALL,
)
_MEDIA_TYPE = re.compile(rf"({_TOKEN})\s*/\s*({_TOKEN})\s*(;.*)?", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
# Wider than the grammar: an IPv6 address without brackets stands in `received` of real peers (RFC 5118 section 4.5).
_PARAMETER = re.compile(rf'({_TOKEN})\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s";,<>]*))?\s*', re.DOTALL)

# What a value may be without quotes; the colons are those of an IPv6 address in `received`.
_PLAIN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~:\[\]]+")

Parameters = dict[str, "str | None"]


def split(value: str, separator: str = ",") -> list[str]:
    """The parts between separators that stand outside quotes and angle brackets; without space around them."""
    parts: list[str] = []
    start = place = 0
    bracket = False
    while place < len(value):
        character = value[place]
        if character == '"':
            quoted = _QUOTED.match(value, place)
            if not quoted:
                raise BadSyntax("a quoted string does not end")
            place = quoted.end()
            continue
        if character == "<":
            bracket = True
        elif character == ">":
            bracket = False
        elif character == separator and not bracket:
            parts.append(value[start:place].strip())
            start = place + 1
        place += 1
    parts.append(value[start:].strip())
    return parts


def unquote(value: str) -> str:
    """The text of a quoted string; what is not quoted stays as it is."""
    quoted = _QUOTED.fullmatch(value)
    return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL) if quoted else value


def quote(text: str) -> str:
    """The text as a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parameters(text: str) -> Parameters:
    """Parameters as `;name=value;flag`: names in lower case, values unquoted, None for a flag; the first one counts."""
    found: Parameters = {}
    text = text.strip()
    place = 0
    while place < len(text):
        match = _PARAMETER.match(text, _after_semicolon(text, place))
        if not match:
            raise BadSyntax("a parameter has no name or a value that it cannot have")
        value = match[2]
        found.setdefault(match[1].lower(), None if value is None else unquote(value))
        place = match.end()
    return found


def _after_semicolon(text: str, place: int) -> int:
    if text[place] != ";":
        raise BadSyntax("something other than a parameter follows")
    place += 1
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def write_parameters(values: Parameters) -> str:
    """As `;name=value;flag`; values that are no token are quoted."""
    return "".join(f";{name}" if value is None else f";{name}={_value(value)}" for name, value in values.items())


def _value(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else quote(value)


def number(value: str, end: int) -> int:
    """A decimal number below `end`; leading zeros are allowed (RFC 4475 section 3.1.1.1)."""
    if not _DIGITS.fullmatch(value) or int(value) >= end:
        raise BadSyntax("a number is none, or too large")
    return int(value)


@dataclass(frozen=True)
class CSeq:
    """The number of a request in its call, and its method (RFC 3261 section 20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, value: str) -> CSeq:
        """Raises BadSyntax."""
        match = _CSEQ.fullmatch(value.strip())
        if not match:
            raise BadSyntax("CSeq is not a number and a method")
        return cls(number(match[1], _CSEQ_END), match[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True)
class Via:
    """One hop of a request (RFC 3261 section 20.42); a host of IPv6 keeps its brackets."""

    transport: str
    host: str
    port: int | None = None
    parameters: Parameters = field(default_factory=dict)

    @classmethod
    def parse(cls, value: str) -> Via:
        """Raises BadSyntax."""
        match = _VIA.fullmatch(value.strip())
        if not match:
            raise BadSyntax("Via is not a protocol, a host and parameters")
        port = match["port"]
        return cls(
            transport=match["transport"].upper(),
            host=match["host"],
            port=None if port is None else number(port, 65_536),
            parameters=parameters(match["parameters"] or ""),
        )

    @property
    def branch(self) -> str:
        """The transaction; empty for a peer of RFC 2543, and for the magic cookie alone (RFC 4475 section 3.2.1)."""
        branch = self.parameters.get("branch") or ""
        return branch if branch.startswith(MAGIC_COOKIE) and branch != MAGIC_COOKIE else ""

    def with_source(self, host: str, port: int) -> Via:
        """The Via with where the request really came from (RFC 3581 section 4); `rport` only when it was asked for."""
        received: Parameters = {**self.parameters, "received": host}
        if "rport" in self.parameters:
            received["rport"] = str(port)
        return replace(self, parameters=received)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{write_parameters(self.parameters)}"


def media_type(value: str) -> tuple[str, Parameters]:
    """A Content-Type in lower case and its parameters; raises BadSyntax."""
    match = _MEDIA_TYPE.fullmatch(value.strip())
    if not match:
        raise BadSyntax("Content-Type is no media type")
    return f"{match[1]}/{match[2]}".lower(), parameters(match[3] or "")
