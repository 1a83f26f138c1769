"""When a call is worth another attempt, and how long to wait for it."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from vvctl.errors import VvctlError

# EBS throttles for up to a minute; twelve attempts with these delays span 35 s on average and 70 s at most.
ATTEMPTS = 12
CONNECTION = (boto.ConnectionError, boto.HTTPClientError, boto.IncompleteReadError, boto.ResponseStreamingError)
_THROTTLED = {
    "BandwidthLimitExceeded",
    "ConcurrentLimitExceededException",
    "EC2ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
# Refusals of the EBS direct API that mean: the line was slow, or an earlier attempt is still being written.
_UNREAD = "Failed to read block data"
_CONFLICT = "CONFLICTING_BLOCK_UPDATE"


class Stopped(VvctlError):
    """Another part of the work failed, so this one gave up; that other failure is what is reported."""

    code = "stopped"


def transient(error: ClientError | BotoCoreError) -> bool:
    """Whether the same call may succeed later: throttling, a fault of the service, a broken connection."""
    if not isinstance(error, ClientError):
        return isinstance(error, CONNECTION)
    details = error.response.get("Error", {})
    return (
        error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
        or details.get("Code") in _THROTTLED
        or error.response.get("Reason") == _CONFLICT
        or _UNREAD in details.get("Message", "")
    )


@dataclass
class Patience:
    """How often to try; how long to wait, in seconds: before another attempt (with jitter), between two looks."""

    attempts: int = ATTEMPTS
    first: float = 0.1
    longest: float = 15.0
    poll: float = 10.0
    # AWS copies a disk to another region in minutes, on a bad day in an hour.
    deadline: float = 2 * 3600
    stop: threading.Event = field(default_factory=threading.Event)

    def before(self, attempt: int) -> None:
        """Wait before `attempt` (2 is the second); raises Stopped when the work was given up meanwhile."""
        longest = min(self.longest, self.first * 2 ** (attempt - 2))
        self._wait(random.uniform(0, longest))  # noqa: S311 (jitter is no secret)

    def look_again(self, looks: int) -> None:
        """Wait after `looks` looks, longer from one to the next; raises Stopped."""
        self._wait(min(self.poll, self.first * 2**looks))

    def _wait(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Stopped("stopped")
