"""What keeps a calibration from being made or measured."""

from __future__ import annotations

from vvctl.errors import VvctlError


class DataError(VvctlError):
    """The recordings cannot be read as they are laid out."""

    code = "calibration_data"


class TooLittleData(VvctlError):
    """The recordings do not carry a calibration; the message says what is missing."""

    code = "too_little_data"


class UnsupportedRate(VvctlError):
    """An error rate was asked for that so few trials cannot show."""

    code = "unsupported_rate"


class NotSeparable(VvctlError):
    """The scores of the same and of other speakers do not differ as they must."""

    code = "not_separable"
