"""Public keys of age: X25519 in Bech32 (age-encryption.org/v1; BIP 173)."""

from __future__ import annotations

PREFIX = "age"
BEGINS_PRIVATE = "AGE-SECRET-KEY-"
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# 32 bytes in groups of five bits, then the checksum.
_KEY, _CHECKSUM = 52, 6


def is_recipient(text: str) -> bool:
    """Whether the lower-case `text` is a public key, with no letter mistyped."""
    head, _, data = text.partition("1")
    if head != PREFIX or len(data) != _KEY + _CHECKSUM or not set(data) <= set(_ALPHABET):
        return False
    groups = [_ALPHABET.index(letter) for letter in data]
    # Four bits fill up the last group of the key.
    return _polymod([*_expanded(head), *groups]) == 1 and groups[_KEY - 1] & 0b1111 == 0


def _expanded(head: str) -> list[int]:
    return [*(ord(letter) >> 5 for letter in head), 0, *(ord(letter) & 31 for letter in head)]


def _polymod(groups: list[int]) -> int:
    checksum = 1
    for group in groups:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ group
        for bit, term in enumerate(_GENERATOR):
            checksum ^= term if top >> bit & 1 else 0
    return checksum
