"""What AWS and boto3 answer, as errors that say what to do."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from vvctl.errors import VvctlError
from vvctl.publish.aws.retry import CONNECTION


class AwsError(VvctlError):
    """AWS refused a call; `aws_code` is its own code for it, `reason` what the EBS direct API adds."""

    code = "aws"

    def __init__(self, message: str, *, hint: str = "", aws_code: str = "", reason: str = "") -> None:
        super().__init__(message, hint=hint)
        self.aws_code = aws_code
        self.reason = reason


class NoCredentials(AwsError):
    """boto3 found nothing to sign with, or AWS does not take it."""

    code = "aws_credentials"


class MissingPermission(AwsError):
    """The principal may not do `action`, named as in an IAM policy."""

    code = "aws_permission"

    def __init__(self, action: str, message: str, *, aws_code: str) -> None:
        super().__init__(
            f"AWS does not allow {action}: {message}",
            hint=f"allow {action}; docs/install-aws.md has the whole policy",
            aws_code=aws_code,
        )
        self.action = action


class QuotaReached(AwsError):
    """The account has as many of something as it may have."""

    code = "aws_quota"


class Unreachable(AwsError):
    """No answer, after all attempts."""

    code = "aws_unreachable"


_DENIED = {"UnauthorizedOperation", "AccessDeniedException", "AccessDenied", "Client.UnauthorizedOperation"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
# EC2 takes a signature for five minutes.
_SKEW_S = 300
_REJECTED = {
    "AuthFailure",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "UnrecognizedClientException",
}
_QUOTA = {
    "ServiceQuotaExceededException",
    "ResourceLimitExceeded",
    "SnapshotLimitExceeded",
    "PendingSnapshotLimitExceeded",
    "ConcurrentSnapshotLimitExceeded",
    "MaxImagesLimitExceeded",
}
_DENIED_ACTION = re.compile(r"perform: (?P<action>[a-z0-9-]+:[A-Za-z0-9]+)")
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.SSOError,
    boto.TokenRetrievalError,
    boto.LoginError,
)
_WHERE_CREDENTIALS = (
    "boto3 looks in the environment, ~/.aws, single sign-on and the instance's role: "
    "set AWS_PROFILE, or run `aws configure` or `aws sso login`"
)


def translate(error: ClientError | BotoCoreError, service: str) -> AwsError:
    """`error` of a call to `service` (ec2, ebs, kms, sts) as what a person is told."""
    if isinstance(error, ClientError):
        return _refused(error, service)
    if isinstance(error, _NO_CREDENTIALS):
        return NoCredentials(f"no usable AWS credentials: {error}", hint=_WHERE_CREDENTIALS)
    if isinstance(error, CONNECTION):
        return Unreachable(f"{service}: {error}", hint="check the network and run the same command again: it goes on")
    return AwsError(f"{service}: {error}")


def _refused(error: ClientError, service: str) -> AwsError:
    details = error.response.get("Error", {})
    code = details.get("Code", "")
    reason = str(error.response.get("Reason") or "")
    message = details.get("Message") or code
    action = f"{service}:{error.operation_name}"
    if code in _DENIED:
        # EC2 checks several actions in one call and names the one that was missing.
        named = _DENIED_ACTION.search(message)
        return MissingPermission(named["action"] if named else action, message, aws_code=code)
    if code in _EXPIRED | _REJECTED and abs(ahead := _clock_ahead_s(error)) > _SKEW_S:
        direction = "ahead of" if ahead > 0 else "behind"
        return NoCredentials(
            "AWS does not take the signature: "
            f"the clock of this computer is {abs(ahead) / 60:.0f} minutes {direction} that of AWS",
            hint="set the clock (timedatectl set-ntp true) and run the same command again: it goes on where it stopped",
            aws_code=code,
        )
    if code in _EXPIRED:
        return NoCredentials(
            f"the AWS credentials have expired: {message}",
            hint="renew them and run the same command again: it goes on where it stopped",
            aws_code=code,
        )
    if code in _REJECTED:
        return NoCredentials(f"AWS does not take these credentials: {message}", hint=_WHERE_CREDENTIALS, aws_code=code)
    if code in _QUOTA:
        return QuotaReached(
            f"a quota of the account is reached ({action}): {message}",
            hint="remove what is not needed, or ask for more under Service Quotas",
            aws_code=code,
        )
    suffix = f" ({reason})" if reason else ""
    return AwsError(f"{action} was refused: {code}{suffix}: {message}", aws_code=code, reason=reason)


def _clock_ahead_s(error: ClientError) -> float:
    """How far this computer's clock is ahead of that of whoever answered; 0 when the answer does not tell."""
    date = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return time.time() - parsedate_to_datetime(date).timestamp() if date else 0.0
    except ValueError:
        return 0.0
