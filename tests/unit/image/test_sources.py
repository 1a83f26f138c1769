from __future__ import annotations

import pytest

from vvctl.errors import ConfigurationError
from vvctl.image.sources import apt_sources, from_index_targets, from_mirror, sources_file

LISTING = """\
Debian|http://archive.test/debian/|main
Debian|http://archive.test/debian/|contrib
Debian|http://second.test/debian/|main
Debian-Security|http://archive.test/debian-security/|main
Other|http://vendor.test/apt/|main
"""


def test_takes_the_archives_that_this_machine_uses_with_the_guests_suite() -> None:
    archive, security = from_index_targets(LISTING, "trixie")
    assert (archive.uri, archive.suites) == ("http://archive.test/debian", ("trixie", "trixie-updates"))
    assert (security.uri, security.suites) == ("http://archive.test/debian-security", ("trixie-security",))


def test_refuses_a_machine_without_a_security_archive() -> None:
    with pytest.raises(ConfigurationError, match="Debian-Security") as caught:
        from_index_targets("Debian|http://archive.test/debian/|main\n", "trixie")
    assert "VV_APT_MIRROR" in caught.value.hint


def test_mirror_of_the_environment_takes_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VV_APT_MIRROR", "http://mirror.test/")
    assert [source.uri for source in apt_sources("trixie")] == [
        "http://mirror.test/debian",
        "http://mirror.test/debian-security",
    ]


def test_named_mirror_comes_before_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VV_APT_MIRROR", "http://mirror.test")
    assert apt_sources("trixie", "http://other.test")[0].uri == "http://other.test/debian"


def test_refuses_a_mirror_that_is_no_address() -> None:
    with pytest.raises(ConfigurationError, match="no http"):
        from_mirror("mirror.test", "trixie")


def test_every_source_in_the_image_is_signed() -> None:
    content = sources_file(from_mirror("http://mirror.test", "trixie"))
    assert content.count("Types: deb\n") == content.count("Signed-By: /usr/share/keyrings/") == 2
    assert "Suites: trixie trixie-updates\n" in content
