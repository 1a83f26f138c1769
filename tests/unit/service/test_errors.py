from __future__ import annotations

import inspect

from voice_verify import errors
from voice_verify.errors import VoiceVerifyError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, VoiceVerifyError) and kind is not VoiceVerifyError
]


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in KINDS if kind is not errors.InternalError]
    assert sorted(codes) == sorted(set(codes))
    assert "internal_error" not in codes


def test_detail_is_message_and_advice_in_sentences() -> None:
    error = errors.AudioUnreadable("the recording cannot be read: unknown format.", hint="send WAV")
    assert error.detail == "The recording cannot be read: unknown format. Send WAV."
    assert errors.NotFound("Nothing here").detail == "Nothing here."


def test_what_is_only_unavailable_says_when_to_try_again() -> None:
    for kind in KINDS:
        if issubclass(kind, errors.Unavailable):
            assert kind("busy").retry_after_s
