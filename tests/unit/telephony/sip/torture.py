"""The torture messages of the RFCs as bytes."""

from __future__ import annotations

import re
from pathlib import Path

_DATA = Path(__file__).parent / "data"


def messages(rfc: str) -> dict[str, bytes]:
    """The messages of `rfc4475` or `rfc5118` by name."""
    _, *sections = re.split(r"^==== (\S+)\n", (_DATA / f"{rfc}.txt").read_text(), flags=re.MULTILINE)
    return {name: _bytes(text) for name, text in zip(sections[::2], sections[1::2], strict=True)}


def _bytes(text: str) -> bytes:
    text = re.sub(r"<repeat count=(\d+)>(.*?)</repeat>", lambda match: match[2] * int(match[1]), text)
    data = text.replace("\n", "\r\n").encode()
    return re.sub(rb"<hex>([0-9A-F]+)</hex>", lambda match: bytes.fromhex(match[1].decode()), data)
