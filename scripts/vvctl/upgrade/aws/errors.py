"""What AWS refuses, in the words of an upgrade."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from vvctl.publish.aws.errors import AwsError, NoCredentials
from vvctl.publish.aws.retry import transient
from vvctl.upgrade.errors import ProviderError

CAPACITY = "InsufficientInstanceCapacity"
# Another call is still at work on the same thing, or has already done it.
BUSY = {"IncorrectState", "IncorrectInstanceState", "VolumeInUse", "IncorrectInstanceConfiguration"}
_SESSION = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}


def passes(error: AwsError) -> bool:
    """Whether the same call may succeed in a moment."""
    cause = error.__cause__
    return error.aws_code in BUSY | {CAPACITY} or (isinstance(cause, ClientError | BotoCoreError) and transient(cause))


def as_provider_error(error: AwsError) -> ProviderError:
    hint = error.hint
    if error.aws_code == CAPACITY:
        hint = "EC2 has no room for this instance type in the zone now: resume later, or change the instance type"
    if isinstance(error, NoCredentials) and error.aws_code in _SESSION:
        hint = "renew the credentials, then `vvctl upgrade resume`"
    return ProviderError(error.message, hint=hint, transient=passes(error))


@contextmanager
def as_provider_errors() -> Iterator[None]:
    """AwsError inside is ProviderError outside."""
    try:
        yield
    except AwsError as error:
        raise as_provider_error(error) from error
