"""The files of a fitted profile: the document to upload, and which recordings it was fitted on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vvctl.profile.embeddings import Take
from vvctl.profile.errors import DataError

if TYPE_CHECKING:
    from voice_verify.engine import AudioSourceProfile

DATA_SUFFIX = ".data.json"


def load(name: str) -> AudioSourceProfile:
    """The profile in the file `name`, or the packaged one of that name. Raises DataError."""
    from voice_verify.engine import AudioSourceProfile, ProfileError, packaged_profile, packaged_profiles  # noqa: PLC0415

    try:
        if name in packaged_profiles():
            return packaged_profile(name)
        return AudioSourceProfile.load(Path(name))
    except ProfileError as error:
        hint = f"give a file that vvctl profile fit wrote, or one of {', '.join(packaged_profiles())}"
        raise DataError(error.message, hint=hint) from error


def refuse_to_overwrite(paths: Sequence[Path]) -> None:
    """Raises DataError when one of them exists."""
    for path in paths:
        if path.exists():
            raise DataError(f"{path} exists already", hint="give another --name or --output, or remove it first")


def write(path: Path, profile: AudioSourceProfile, takes: Sequence[Take]) -> None:
    """The profile, and beside it the SHA-256 of each file it was fitted on.

    That list is for `vvctl profile evaluate` and stays here: the profile that is uploaded does not hold it. A hash of
    a recording says nothing to somebody who has not got the recording; names are not kept, because a hash of a name
    can be guessed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digests = sorted({digest for take in takes for digest in take.digests})
    content = {"profile": str(profile.uuid), "recordings": digests}
    path.with_name(path.stem + DATA_SUFFIX).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    path.write_text(profile.model_dump_json(indent=1) + "\n", encoding="utf-8")


def shared_recordings(name: str, profile: AudioSourceProfile, takes: Sequence[Take]) -> int | None:
    """How many of the files the profile was fitted on; None when the list is not beside it."""
    path = Path(name)
    try:
        content = json.loads(path.with_name(path.stem + DATA_SUFFIX).read_bytes())
        known = set(content["recordings"]) if content["profile"] == str(profile.uuid) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if known is None else sum(digest in known for take in takes for digest in take.digests)
