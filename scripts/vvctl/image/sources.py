"""Where the image's Debian packages come from: the archive that this build host itself is configured to use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from vvctl.errors import ConfigurationError
from vvctl.image.run import run

MIRROR_VARIABLE = "VV_APT_MIRROR"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
COMPONENT = "main"
_FORMAT = "$(LABEL)|$(REPO_URI)|$(COMPONENT)"
_ARCHIVE, _SECURITY = "Debian", "Debian-Security"


@dataclass(frozen=True)
class AptSource:
    """One archive and the suites taken from it."""

    uri: str
    suites: tuple[str, ...]

    @property
    def deb822(self) -> str:
        return (
            f"Types: deb\nURIs: {self.uri}\nSuites: {' '.join(self.suites)}\n"
            f"Components: {COMPONENT}\nSigned-By: {KEYRING}\n"
        )

    @property
    def lines(self) -> list[str]:
        """The same in the one-line format, an entry a suite."""
        return [f"deb [signed-by={KEYRING}] {self.uri} {suite} {COMPONENT}" for suite in self.suites]


def _sources(archive: str, security: str, suite: str) -> list[AptSource]:
    return [AptSource(archive, (suite, f"{suite}-updates")), AptSource(security, (f"{suite}-security",))]


def from_mirror(mirror: str, suite: str) -> list[AptSource]:
    """Sources on a mirror, below which lie `debian/` and `debian-security/`.

    Raises ConfigurationError when `mirror` is no address that apt can use.
    """
    base = mirror.rstrip("/")
    if not base.startswith(("http://", "https://", "file:///")):
        raise ConfigurationError(
            f"the mirror {mirror!r} is no http, https or file address",
            hint="give the address below which debian/ and debian-security/ lie",
        )
    return _sources(f"{base}/debian", f"{base}/debian-security", suite)


def from_index_targets(listing: str, suite: str) -> list[AptSource]:
    """Sources with the archives of `listing`: lines `label|address|component` as apt-get indextargets gives them.

    Raises ConfigurationError when Debian's archive or its security archive is not among them.
    """
    found: dict[str, str] = {}
    for line in listing.splitlines():
        label, _, rest = line.partition("|")
        uri, _, component = rest.partition("|")
        if component == COMPONENT and label in {_ARCHIVE, _SECURITY}:
            found.setdefault(label, uri.rstrip("/"))
    missing = [label for label in (_ARCHIVE, _SECURITY) if label not in found]
    if missing:
        raise ConfigurationError(
            f"apt on this machine has no source labelled {' or '.join(missing)}",
            hint=f"run apt-get update, or name a mirror with --mirror or {MIRROR_VARIABLE}",
        )
    return _sources(found[_ARCHIVE], found[_SECURITY], suite)


def apt_sources(suite: str, mirror: str | None = None) -> list[AptSource]:
    """The sources for `suite`: from `mirror`, else from VV_APT_MIRROR, else from this machine's configuration."""
    chosen = mirror or os.environ.get(MIRROR_VARIABLE)
    if chosen:
        return from_mirror(chosen, suite)
    return from_index_targets(run(["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"]), suite)


def sources_file(sources: Sequence[AptSource]) -> str:
    """Content of /etc/apt/sources.list.d/debian.sources."""
    return "\n".join(source.deb822 for source in sources)
