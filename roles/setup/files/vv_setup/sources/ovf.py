"""The OVF environment document (DMTF DSP0243, section 11)."""

from __future__ import annotations

from xml.parsers import expat

from ..environment import MAXIMUM_BYTES, Environment, Unreadable

NAMESPACE = "http://schemas.dmtf.org/ovf/environment/1"


def environment(source: str, text: str) -> Environment:
    """What the document `text` says, or why it cannot be read."""
    try:
        return Environment(source, parse(text))
    except Unreadable as error:
        return Environment(source, problem=f"the OVF environment cannot be read: {error}")


def parse(text: str) -> dict[str, str]:
    """The properties of an OVF environment, key to value.

    Raises Unreadable for what is no such document, and for a document type declaration, which none has.
    """
    if len(text) > MAXIMUM_BYTES:
        raise Unreadable(f"it is larger than {MAXIMUM_BYTES // 1024} KiB")
    values: dict[str, str] = {}
    root: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        root.append(name)
        if name == f"{NAMESPACE} Property":
            key = attributes.get(f"{NAMESPACE} key")
            if key is not None:
                values[key] = attributes.get(f"{NAMESPACE} value", "")

    def refuse(*_: object) -> None:
        raise Unreadable("it has a document type declaration")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.strip(), True)
    except expat.ExpatError as error:
        raise Unreadable(f"it is not XML: {error}") from error
    if root[0] != f"{NAMESPACE} Environment":
        raise Unreadable(f"its root element is {root[0].rpartition(' ')[2]}, not Environment")
    return values
