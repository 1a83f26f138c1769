"""Recording metadata: RFC 7865, earlier drafts, and what is no metadata."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_verify.telephony.uas import metadata
from voice_verify.telephony.uas.metadata import BadMetadata, Metadata, Participant

STANDARD = b"""<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
  <datamode>complete</datamode>
  <session session_id="hVpd7YQgRW2nD22h7q60JQ=="><sipSessionID>ab30317f;remote=47755a9d</sipSessionID></session>
  <participant participant_id="srfBElmCRp2QB23b7Mpk0w==">
    <nameID aor="sip:bob@biloxi.com"><name xml:lang="it">Bob B</name><name xml:lang="de">Robert</name></nameID>
  </participant>
  <participant participant_id="zSfPoSvdSDCmU3A3TRDxAw=="><nameID aor="sip:paul@biloxi.com"/></participant>
  <stream stream_id="UAAMm5GRQKSCMVvLyl4rFw==" session_id="hVpd7YQgRW2nD22h7q60JQ=="><label>96</label></stream>
  <stream stream_id="i1Pz3to5hGk8fuXl+PbwCw==" session_id="hVpd7YQgRW2nD22h7q60JQ=="><label>97</label></stream>
  <participantstreamassoc participant_id="srfBElmCRp2QB23b7Mpk0w==">
    <send>i1Pz3to5hGk8fuXl+PbwCw==</send><recv>UAAMm5GRQKSCMVvLyl4rFw==</recv>
  </participantstreamassoc>
  <participantstreamassoc participant_id="zSfPoSvdSDCmU3A3TRDxAw==">
    <send>UAAMm5GRQKSCMVvLyl4rFw==</send>
  </participantstreamassoc>
</recording>"""

DRAFT = b"""<recording xmlns="urn:ietf:params:xml:ns:recording">
  <dataMode>complete</dataMode>
  <participant id="p1" session="s1">
    <nameID aor="tel:+15551234"><name>Customer</name></nameID><send>st1</send>
  </participant>
  <stream id="st1" session="s1"><label>1</label></stream>
</recording>"""


def test_tells_who_speaks_on_which_line() -> None:
    document = metadata.read(STANDARD)
    assert document.complete
    bob = document.metadata.speaker("97")
    assert bob == Participant("srfBElmCRp2QB23b7Mpk0w==", "Bob B", "sip:bob@biloxi.com")
    paul = document.metadata.speaker("96")
    assert paul is not None
    assert (paul.name, paul.aor) == ("", "sip:paul@biloxi.com")
    assert document.metadata.stream_id("96") == "UAAMm5GRQKSCMVvLyl4rFw=="
    assert document.metadata.speaker("98") is None


def test_reads_the_drafts_that_are_still_in_use() -> None:
    customer = metadata.read(DRAFT).metadata.speaker("1")
    assert customer == Participant("p1", "Customer", "tel:+15551234")


def test_a_partial_document_adds_and_a_complete_one_replaces() -> None:
    known = metadata.read(STANDARD).metadata
    partial = metadata.read(
        b"<recording><datamode>partial</datamode>"
        b"<participant participant_id='n'><nameID aor='sip:new@x'/></participant>"
        b"<stream stream_id='s'><label>98</label></stream>"
        b"<participantstreamassoc participant_id='n'><send>s</send></participantstreamassoc></recording>"
    )
    both = known.updated(partial)
    assert both.speaker("97") == known.speaker("97")
    assert both.speaker("98") == Participant("n", "", "sip:new@x")
    assert both.updated(metadata.read(b"<recording/>")) == Metadata()


def test_makes_one_printable_line_of_a_name() -> None:
    document = metadata.read(
        b"<recording><participant participant_id='p'><nameID><name>a&#10;b&#x202e;"
        + b"x" * 500
        + b"</name></nameID></participant></recording>"
    )
    name = document.metadata.participants["p"].name
    assert name.isprintable()
    assert len(name) == 128


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not xml",
        b"<recording>",
        b"<other/>",
        b"<recording>&undefined;</recording>",
        b"<!DOCTYPE recording><recording/>",
        b'<!DOCTYPE r [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><recording><x>&b;</x></recording>',
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><recording>&x;</recording>',
        b"<recording>" + b"<a>" * 100 + b"</a>" * 100 + b"</recording>",
        b"<recording>" + b"<a/>" * 1000 + b"</recording>",
        b"<recording>" + b" " * metadata.MAX_BYTES + b"</recording>",
        b'<?xml version="1.0" encoding="no-such"?><recording/>',
        b"\xff\xfe\x00",
    ],
)
def test_refuses_what_is_no_metadata(content: bytes) -> None:
    with pytest.raises(BadMetadata):
        metadata.read(content)


@given(st.binary(max_size=40), st.integers(0, len(STANDARD)), st.integers(0, 40))
def test_damaged_metadata_is_read_or_refused(noise: bytes, at: int, removed: int) -> None:
    with suppress(BadMetadata):
        metadata.read(STANDARD[:at] + noise + STANDARD[at + removed :])
