"""SIP URIs and the addresses that carry them (RFC 3261 sections 19.1 and 20.10)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote as escape
from urllib.parse import unquote_to_bytes

from voice_verify.telephony.sip.errors import BadSyntax, BadUri
from voice_verify.telephony.sip.fields import HOST, Parameters, number, parameters, quote, unquote, write_parameters

_ESCAPED = r"%[0-9A-Fa-f]{2}"
_USER = re.compile(rf"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]|{_ESCAPED})*")
_PASSWORD = re.compile(rf"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|{_ESCAPED})*")
_PARAMETER_TEXT = re.compile(rf"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|{_ESCAPED})+")
_HEADER_TEXT = re.compile(rf"(?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$]|{_ESCAPED})*")
# Any other scheme is taken as it is; spaces, quotes and angle brackets are in no URI (RFC 3986 appendix C).
_ABSOLUTE = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):[^\s<>\"]+")
# Wider than the grammar, which allows only tokens: parentheses and letters beyond ASCII come from real telephones.
_DISPLAY = re.compile(r"[^\",;:<>@\\]*")
_COLON_TOO_MANY = re.compile(r":::(?=[0-9]+\.)")
_QUOTED_DISPLAY = re.compile(r'("(?:[^"\\]|\\.)*")\s*', re.DOTALL)


def _unescape(text: str) -> str:
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def _escape(text: str, also: str) -> str:
    return escape(text.encode("utf-8", "surrogateescape"), safe="-_.!~*'()" + also)


@dataclass(frozen=True)
class SipUri:
    """A `sip:` or `sips:` URI, unescaped; a host of IPv6 stands without its brackets."""

    host: str
    user: str | None = None
    port: int | None = None
    scheme: str = "sip"
    password: str | None = None
    parameters: Parameters = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Raises BadUri."""
        scheme, colon, rest = text.partition(":")
        if not colon or scheme.lower() not in {"sip", "sips"}:
            raise BadUri("not a sip: or sips: URI")
        login, at, rest = rest.rpartition("@")
        user, password = _login(login) if at else (None, None)
        rest, question, headers = rest.partition("?")
        where, semicolon, given = rest.partition(";")
        host, port = _host_and_port(where)
        return cls(
            host=host,
            user=user,
            port=port,
            scheme=scheme.lower(),
            password=password,
            parameters=_parameters(given) if semicolon else {},
            headers=_headers(headers) if question else {},
        )

    def __str__(self) -> str:
        login = "" if self.user is None else _escape(self.user, "&=+$,;?/")
        if self.password is not None:
            login += ":" + _escape(self.password, "&=+$,")
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        given = "".join(
            f";{_escape(name, '[]/:&+$')}" + ("" if value is None else f"={_escape(value, '[]/:&+$')}")
            for name, value in self.parameters.items()
        )
        headers = "&".join(
            f"{_escape(name, '[]/?:+$')}={_escape(value, '[]/?:+$')}" for name, value in self.headers.items()
        )
        at = "" if self.user is None else "@"
        return f"{self.scheme}:{login}{at}{host}{port}{given}{'?' if headers else ''}{headers}"


def _login(text: str) -> tuple[str, str | None]:
    user, colon, password = text.partition(":")
    if not user or not _USER.fullmatch(user) or not _PASSWORD.fullmatch(password):
        raise BadUri("the user part has a character that must be escaped")
    return _unescape(user), _unescape(password) if colon else None


def _host_and_port(text: str) -> tuple[str, int | None]:
    match = HOST.match(text)
    if not match:
        raise BadUri("no host")
    host, port = match[0], text[match.end() :]
    if host.startswith("["):
        # The grammar of RFC 3261 has a colon too many there, which must be tolerated (RFC 5118 section 4.10).
        host = _COLON_TOO_MANY.sub("::", host[1:-1])
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise BadUri("not an IPv6 address") from None
    if not port:
        return host, None
    if not port.startswith(":"):
        raise BadUri("something other than a port follows the host")
    try:
        return host, number(port[1:], 65_536)
    except BadSyntax:
        raise BadUri("not a port") from None


def _parameters(text: str) -> Parameters:
    found: Parameters = {}
    for parameter in text.split(";"):
        name, equals, value = parameter.partition("=")
        if not _PARAMETER_TEXT.fullmatch(name) or (equals and not _PARAMETER_TEXT.fullmatch(value)):
            raise BadUri("a parameter of the URI is malformed")
        name = _unescape(name).lower()
        if name in found:
            raise BadUri("a parameter of the URI stands twice")
        found[name] = _unescape(value) if equals else None
    return found


def _headers(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for header in text.split("&"):
        name, equals, value = header.partition("=")
        if not name or not equals or not _HEADER_TEXT.fullmatch(name) or not _HEADER_TEXT.fullmatch(value):
            raise BadUri("a header of the URI is malformed")
        found[_unescape(name)] = _unescape(value)
    return found


def check_uri(text: str) -> None:
    """Raise BadUri unless the text is a SIP URI or a URI of another scheme."""
    match = _ABSOLUTE.fullmatch(text)
    if not match:
        raise BadUri("no URI")
    if match[1].lower() in {"sip", "sips"}:
        SipUri.parse(text)


@dataclass(frozen=True)
class NameAddress:
    """The value of From, To, Contact, Route and their like: `"display" <uri>;parameters`, or a URI alone."""

    uri: str
    display: str = ""
    parameters: Parameters = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> NameAddress:
        """Raises BadSyntax; the URI is checked too."""
        text = text.strip()
        quoted = _QUOTED_DISPLAY.match(text)
        if text.startswith('"') and not quoted:
            raise BadUri("the display name does not end")
        rest = text[quoted.end() :] if quoted else text
        before, bracket, after = rest.partition("<")
        if not bracket:
            if quoted:
                raise BadUri("a display name needs angle brackets around its URI")
            return cls._plain(text)
        if not _DISPLAY.fullmatch(before) or (quoted and before):
            raise BadUri("the display name has to be quoted")
        uri, bracket, given = after.partition(">")
        if not bracket:
            raise BadUri("an angle bracket does not close")
        check_uri(uri)
        return cls(uri, unquote(quoted[1]) if quoted else before.strip(), parameters(given))

    @classmethod
    def _plain(cls, text: str) -> NameAddress:
        """Without angle brackets parameters belong to the header, so that the URI can have none (section 20)."""
        uri, semicolon, given = text.partition(";")
        uri = uri.strip()
        if "?" in uri or "," in uri:
            raise BadUri("this URI needs angle brackets")
        check_uri(uri)
        return cls(uri, "", parameters(semicolon + given))

    @property
    def tag(self) -> str | None:
        """The side's part of the dialog's name."""
        return self.parameters.get("tag")

    @property
    def sip_uri(self) -> SipUri:
        """Raises BadUri for other schemes."""
        return SipUri.parse(self.uri)

    def with_tag(self, tag: str) -> NameAddress:
        """The address with that tag."""
        return replace(self, parameters={**self.parameters, "tag": tag})

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{write_parameters(self.parameters)}"
