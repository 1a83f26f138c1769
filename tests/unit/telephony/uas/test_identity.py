"""The uuid of a call, in all the spellings in which PBXs send one."""

from __future__ import annotations

import base64
from uuid import UUID

import pytest

from voice_verify.telephony.sip import Headers, Request
from voice_verify.telephony.uas import identity, recording
from voice_verify.telephony.uas.metadata import Metadata

WANTED = UUID("6f1c1a52-3a3f-4f0a-9a58-0c4b1e8f7d21")
AS_TEXT = str(WANTED).encode().hex()


@pytest.mark.parametrize(
    "value",
    [
        str(WANTED),
        str(WANTED).upper(),
        WANTED.hex,
        f"{{{WANTED}}}",
        f"urn:uuid:{WANTED}",
        f'"{WANTED}"',
        f"{WANTED.hex};encoding=hex",
        f"00{WANTED.hex};encoding=hex;purpose=isdn-uui",
        f"04{WANTED.hex};encoding=hex",
        f"{AS_TEXT};encoding=hex",
        f"04{AS_TEXT};encoding=hex",
        f"{WANTED!s};purpose=call",
    ],
)
def test_reads_a_uuid_however_it_is_written(value: str) -> None:
    assert identity.read(value) == WANTED


@pytest.mark.parametrize("value", ["", "abc", "00", "zz" * 16, "41" * 20, "f" * 31, f"{WANTED}0", "41" * 200])
def test_finds_none_in_anything_else(value: str) -> None:
    assert identity.read(value) is None


def test_the_first_header_with_a_uuid_counts() -> None:
    other = UUID(int=5)
    headers = Headers(
        [("User-to-User", f"{other.hex};encoding=hex"), ("X-Stream-UUID", "none"), ("X-UUID", str(WANTED))]
    )
    assert recording.asked_uuid(Request(headers, method="INVITE", uri="sip:a@b")) == WANTED
    headers.remove("X-UUID")
    assert recording.asked_uuid(Request(headers, method="INVITE", uri="sip:a@b")) == other


def test_reads_the_ids_of_metadata() -> None:
    assert identity.read_id(base64.b64encode(WANTED.bytes).decode()) == WANTED
    assert identity.read_id(str(WANTED)) == WANTED
    assert identity.read_id("c3RyZWFt") is None


def test_streams_of_one_call_have_uuids_that_both_sides_can_compute() -> None:
    known = Metadata(labels={base64.b64encode(UUID(int=7).bytes).decode(): "2"})
    one, two = (recording.stream_uuid(WANTED, label, known, alone=False) for label in ("1", "2"))
    assert one == UUID("60436d5c-b5fa-5181-aa2f-29e1f4566495")
    assert len({one, two, WANTED}) == 3
    assert recording.stream_uuid(WANTED, "1", known, alone=True) == WANTED
    # Without a uuid of the call, the metadata names the streams.
    assert recording.stream_uuid(None, "2", known, alone=False) == UUID(int=7)
    assert recording.stream_uuid(None, "1", known, alone=False) is None


def test_passes_over_a_header_that_cannot_be_read() -> None:
    headers = Headers([("X-UUID", 'say "open'), ("User-to-User", f"{WANTED.hex};encoding=hex")])
    assert recording.asked_uuid(Request(headers, method="INVITE", uri="sip:a@b")) == WANTED
