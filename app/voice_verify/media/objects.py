"""JSON objects of peers, read without trust: every value is of the kind that is expected, or the message is bad.

What a peer wrote is never repeated in an error: it may be anything, and errors are logged.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from voice_verify.errors import BadMessage

Kind = TypeVar("Kind")
Object = dict[str, Any]

_KINDS: dict[type, str] = {str: "text", dict: "object", list: "list", int: "whole number"}


def parse(message: str) -> Object:
    """Raises BadMessage."""
    try:
        value = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise BadMessage("A message is not valid JSON", hint="see docs/integrations for what is expected") from error
    if not isinstance(value, dict):
        raise BadMessage("A message is no JSON object", hint="see docs/integrations for what is expected")
    return value


def member(document: Mapping[str, Any], name: str, kind: type[Kind]) -> Kind:
    """Raises BadMessage when there is none of that name and kind."""
    value = document.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadMessage(f"A message has no {name} that is a {_KINDS[kind]}")
    return value


def texts(document: Mapping[str, Any]) -> dict[str, str]:
    """The members that are texts."""
    return {name: value for name, value in document.items() if isinstance(value, str)}


def audio(text: str) -> bytes:
    """Of base64; raises BadMessage."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadMessage("The payload of a message is not base64") from error
