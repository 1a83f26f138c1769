"""Rules that several operations share: tags, encryption, keys, client tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from moto.kms.models import kms_backends

from .refusal import Refusal
from .state import ACCOUNT, AWS_MANAGED_KEY, Region

T = TypeVar("T")

_ACCOUNT = re.compile(r"\d{12}")


def tags_of(entries: list[dict[str, str]] | None) -> dict[str, str]:
    """Checked tags (docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html)."""
    tags: dict[str, str] = {}
    for entry in entries or []:
        key, value = entry["Key"], entry.get("Value", "")
        if not key or len(key) > 128 or len(value) > 256 or key.startswith("aws:") or key in tags:
            raise Refusal("InvalidParameterValue", f"Tag {key} is not valid", reason="INVALID_TAG")
        tags[key] = value
    if len(tags) > 50:
        raise Refusal("TagLimitExceeded", "More than 50 tags", reason="INVALID_TAG")
    return tags


def specified_tags(params: dict[str, Any], *allowed: str) -> dict[str, dict[str, str]]:
    """Tags by kind of resource; a kind that the operation does not make is refused."""
    found = {}
    for entry in params.get("TagSpecifications", []):
        if entry["ResourceType"] not in allowed:
            raise Refusal("InvalidParameterValue", f"'{entry['ResourceType']}' is not a valid taggable resource type")
        found[entry["ResourceType"]] = tags_of(entry.get("Tags"))
    return found


def list_of_tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def key_for(region: Region, *, encrypted: bool, key: str | None) -> str | None:
    """What new snapshots are encrypted with: the key that was named, the region's default key, or nothing."""
    if key is not None and not encrypted:
        raise Refusal("InvalidParameterValue", "a KMS key needs Encrypted", reason="INVALID_PARAMETER_VALUE")
    if not encrypted and not region.encrypts_by_default:
        return None
    key = key or region.default_key
    if key != AWS_MANAGED_KEY:
        known = {entry.arn for entry in kms_backends[ACCOUNT][region.name].keys.values() if entry.enabled}
        if key not in known:
            raise Refusal("InvalidParameterValue", f"{key} is no usable key", reason="INVALID_CUSTOMER_KEY")
    return key


def once(region: Region, token: str | None, request: Any, work: Callable[[], T], conflict: str) -> T:
    """`work`, once for a client token; the same token for another request is refused with `conflict`."""
    if token is None:
        return work()
    if token in region.tokens:
        earlier, result = region.tokens[token]
        if earlier != request:
            raise Refusal(conflict, "The client token was used for another request")
        return result  # type: ignore[no-any-return]
    result = work()
    region.tokens[token] = (request, result)
    return result


def accounts_of(params: dict[str, Any]) -> set[str]:
    accounts = set(params.get("UserIds", []))
    if not accounts or any(not _ACCOUNT.fullmatch(account) for account in accounts):
        raise Refusal("InvalidUserID.Malformed", f"Invalid user ids: {sorted(accounts)}")
    return accounts


def matches(filters: list[dict[str, Any]], facts: dict[str, set[str]], tags: dict[str, str]) -> bool:
    """Whether a resource passes all filters; an unknown filter is refused, as AWS does."""
    for entry in filters:
        name, wanted = entry["Name"], set(entry.get("Values", []))
        if name.startswith("tag:"):
            found = {tags[name[4:]]} if name[4:] in tags else set()
        elif name == "tag-key":
            found = set(tags)
        elif name in facts:
            found = facts[name]
        else:
            raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
        if not found & wanted:
            return False
    return True
