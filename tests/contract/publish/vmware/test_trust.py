"""Nothing is sent to a server that is not known."""

from __future__ import annotations

import pytest

from tests.doubles.vmware.server import USER, VCenter, make_identity
from vvctl.errors import ConfigurationError
from vvctl.publish.vmware.connection import Credentials, Server, connected
from vvctl.publish.vmware.errors import LoginRefused, Untrusted, VsphereError

from .conftest import CREDENTIALS, server


def test_refuses_a_certificate_that_nobody_vouches_for(vcenter: VCenter) -> None:
    with pytest.raises(Untrusted, match="not trusted"), connected(Server("localhost", vcenter.port), CREDENTIALS):
        pass
    assert vcenter.calls() == []


def test_refuses_the_certificate_of_another_authority(
    vcenter: VCenter, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_identity(tmp_path_factory.mktemp("other"))
    trusting = Server("localhost", vcenter.port, ca_file=other.authority)
    with pytest.raises(Untrusted, match="not trusted"), connected(trusting, CREDENTIALS):
        pass
    assert vcenter.calls() == []


def test_takes_the_very_certificate_that_was_named(vcenter: VCenter) -> None:
    digits = vcenter.identity.thumbprint.upper()
    thumbprint = ":".join(digits[start : start + 2] for start in range(0, 64, 2))
    # By an address that the certificate does not name.
    with connected(Server("127.0.0.1", vcenter.port, thumbprint=thumbprint), CREDENTIALS) as connection:
        assert connection.find("DC0") is not None


def test_refuses_another_certificate_than_the_named_one(vcenter: VCenter) -> None:
    wrong = Server("localhost", vcenter.port, thumbprint="0" * 64)
    with pytest.raises(Untrusted, match="shows a certificate with the thumbprint"), connected(wrong, CREDENTIALS):
        pass
    assert vcenter.calls() == []


def test_refuses_what_is_no_thumbprint(vcenter: VCenter) -> None:
    wrong = Server("localhost", vcenter.port, thumbprint="abc")
    with pytest.raises(ConfigurationError, match="no thumbprint"), connected(wrong, CREDENTIALS):
        pass


def test_says_that_user_or_password_are_wrong_and_never_shows_them(vcenter: VCenter) -> None:
    wrong = Credentials(USER, "not the password")
    with pytest.raises(LoginRefused) as caught, connected(server(vcenter), wrong):
        pass
    assert "not the password" not in f"{caught.value.message} {caught.value.hint} {wrong!r}"


def test_says_that_nobody_answers() -> None:
    nobody = Server("localhost", 1)
    with pytest.raises(VsphereError, match="broke while logging in to localhost"), connected(nobody, CREDENTIALS):
        pass
