"""What is wrong with a licence, or with the key that signs it."""

from __future__ import annotations

from vvctl.errors import VvctlError


class KeyUnusable(VvctlError):
    """The file holds no private key that can sign licences."""

    code = "licence_key"


class FileExists(VvctlError):
    """Neither keys nor licences are ever overwritten."""

    code = "file_exists"


class TermsRefused(VvctlError):
    """No licence is issued on such terms."""

    code = "licence_terms"


class LicenceRefused(VvctlError):
    """The file is no licence, was changed, or is signed by somebody whom this build does not trust."""

    code = "licence_invalid"


class LicencePast(VvctlError):
    """The licence has expired."""

    code = "licence_expired"
