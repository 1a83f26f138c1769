"""Header fields of a message, in their order, found by any spelling of their name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from voice_verify.telephony.sip.fields import split

# RFC 3261 section 7.3.3 and the registry of compact forms (RFC 3515, 3841, 3892, 4028, 6665, 8224).
_COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
# Names that a capital at each part would not spell as the RFCs do.
_SPELLING = {"call-id": "Call-ID", "cseq": "CSeq", "www-authenticate": "WWW-Authenticate", "min-se": "Min-SE"}


def key_of(name: str) -> str:
    """The long form of a header name in lower case."""
    name = name.lower()
    return _COMPACT.get(name, name)


def _spelling(name: str) -> str:
    key = key_of(name)
    if key == name.lower():
        return _SPELLING.get(key, name)
    return _SPELLING.get(key, key.title())


class Headers:
    """An ordered list of header fields; names are compared without case, compact forms are understood."""

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []
        for name, value in fields:
            self.add(name, value)

    def get(self, name: str) -> str | None:
        """The value of the first field of that name."""
        key = key_of(name)
        return next((value for known, _, value in self._fields if known == key), None)

    def all(self, name: str) -> list[str]:
        """The values of all fields of that name, each as it stood in its line."""
        key = key_of(name)
        return [value for known, _, value in self._fields if known == key]

    def items(self, name: str) -> list[str]:
        """The values of a list header over all its lines; raises BadSyntax when quotes do not end."""
        return [item for value in self.all(name) for item in split(value) if item]

    def add(self, name: str, value: str) -> None:
        """Append a field."""
        self._fields.append((key_of(name), _spelling(name), value))

    def insert(self, name: str, value: str) -> None:
        """Put a field before all others, as the newest Via has to stand."""
        self._fields.insert(0, (key_of(name), _spelling(name), value))

    def set(self, name: str, value: str) -> None:
        """Make this the only field of that name, where the first one stood."""
        key = key_of(name)
        place = next((place for place, (known, _, _) in enumerate(self._fields) if known == key), len(self._fields))
        self.remove(name)
        self._fields.insert(place, (key, _spelling(name), value))

    def remove(self, name: str) -> None:
        """Take away all fields of that name."""
        key = key_of(name)
        self._fields = [field for field in self._fields if field[0] != key]

    def copy(self) -> Headers:
        """The same fields, to be changed apart."""
        headers = Headers()
        headers._fields = list(self._fields)
        return headers

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((spelling, value) for _, spelling, value in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self._fields] == [(key, value) for key, _, value in other._fields]

    __hash__ = None  # type: ignore[assignment] # it can be changed

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"
