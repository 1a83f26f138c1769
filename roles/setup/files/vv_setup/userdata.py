r"""Properties as a text that a person writes: `key: value` lines, or a JSON object.

    #voice-verify
    hostname: vv1
    dns: 192.0.2.53, 192.0.2.54
    certificate: |
      -----BEGIN CERTIFICATE-----
      ...

The first line is optional. It is a small part of YAML: values may be quoted, lists may be in brackets, `|` begins a
value of several indented lines, `#` begins a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from .environment import Unreadable

_LINE = re.compile(r"([A-Za-z][\w-]*)\s*:(?:\s+(.*))?$")
_COMMENT = re.compile(r"(^|\s)#.*$")
# What else is handed to machines in this way, by how it begins.
_FOREIGN = {
    "#cloud-config": "this is for cloud-init, which this machine does not have",
    "#!": "this is a script, and this machine runs none",
    "Content-Type:": "this is for cloud-init, which this machine does not have",
    "MIME-Version:": "this is for cloud-init, which this machine does not have",
    "<": "this is XML",
    "---\n-": "this is a list",
}


def parse(text: str) -> dict[str, str]:
    """The properties, key to value as written; none for a text without any.

    Raises Unreadable with the line that cannot be understood, or for a key that is there twice.
    """
    start = text.lstrip()
    for beginning, what in _FOREIGN.items():
        if start.startswith(beginning):
            raise Unreadable(f"{what}; write lines such as: hostname: vv1")
    pairs = _json(_without_mark(start)) if _without_mark(start).startswith("{") else list(_lines(text.splitlines()))
    values: dict[str, str] = {}
    for key, value in pairs:
        if key in values:
            raise Unreadable(f"{key} is there twice")
        values[key] = value
    return values


def _without_mark(text: str) -> str:
    mark = "#voice-verify"
    return text.removeprefix(mark).lstrip() if text.startswith(mark) else text


def _json(text: str) -> list[tuple[str, str]]:
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it begins like JSON but is not: {error}") from None
    return [(key, _text(key, value)) for key, value in pairs]


def _text(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    raise Unreadable(f"{key} is neither a text, a number nor a list of texts")


def _lines(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    numbered = list(enumerate((line.rstrip() for line in lines), 1))
    position = 0
    while position < len(numbered):
        number, line = numbered[position]
        position += 1
        if not line.strip() or line.startswith("#") or line == "---":
            continue
        match = _LINE.match(line)
        if not match:
            # Not shown: it could be a line of a private key.
            raise Unreadable(f"line {number} is not `key: value`; longer values stand indented below `key: |`")
        key, value = match[1], (match[2] or "").strip()
        if value in {"|", "|-", "|+"}:
            block = []
            while position < len(numbered) and (not numbered[position][1] or numbered[position][1][0] in " \t"):
                block.append(numbered[position][1].strip())
                position += 1
            yield key, "\n".join(block).strip()
        else:
            yield key, _value(value)


def _value(text: str) -> str:
    if text[:1] in {'"', "'"}:
        return _unquoted(text)
    text = _COMMENT.sub("", text).strip()
    if text.startswith("[") and text.endswith("]"):
        return ", ".join(_unquoted(item.strip()) for item in text[1:-1].split(","))
    return text


def _unquoted(text: str) -> str:
    quote = text[:1]
    if quote not in {'"', "'"}:
        return text
    end = text.find(quote, 1)
    return text[1:end] if end > 0 else text
