"""Changes in EC2, each looked for before, and until it is seen afterwards.

No answer is final: a call that was lost may have been carried out, and a look may be older than the last change
(docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.errors import AwsError
from vvctl.upgrade.aws.errors import passes
from vvctl.upgrade.aws.view import View, Viewer
from vvctl.upgrade.errors import ProviderError

# How many looks at the longest distance must agree that something is not there, until it is believed.
_SETTLE_LOOKS = 5
# Until the effect of a call that was accepted is seen.
_EFFECT_S = 60.0
# Detaching, starting and stopping take seconds; EC2 switches a guest off that hangs after some minutes.
LIMIT_S = 900.0


class Progress(Enum):
    """How far a change is."""

    NOT_YET = auto()
    UNDER_WAY = auto()
    DONE = auto()


def done_if(done: bool, *, under_way: bool = False) -> Progress:
    if done:
        return Progress.DONE
    return Progress.UNDER_WAY if under_way else Progress.NOT_YET


class Hands:
    """Does one change after the other. Raises AwsError and ProviderError."""

    def __init__(self, cloud: Cloud, viewer: Viewer, pause_s: float) -> None:
        self.cloud, self.viewer = cloud, viewer
        self.settle_s = _SETTLE_LOOKS * pause_s

    def ensure(
        self,
        what: str,
        look: Callable[[View], Progress],
        call: Callable[[], Any],
        *,
        limit_s: float = LIMIT_S,
        why: Callable[[View], str] = lambda _: "",
    ) -> None:
        """Do `call` unless `look` says that it is done or under way, and wait until it is done.

        `what` and `why` say what failed: "the data volume is detached".
        """
        progress = look(self.viewer.look())
        if progress is Progress.DONE:
            return
        refusal = self._try(call) if progress is Progress.NOT_YET else None
        began, looks, worked = time.monotonic(), 0, progress is Progress.UNDER_WAY
        while (progress := look(view := self.viewer.look())) is not Progress.DONE:
            passed = time.monotonic() - began
            if progress is Progress.NOT_YET:
                if refusal is not None and (not passes(refusal) or passed > self.settle_s):
                    raise refusal
                if worked or passed > _EFFECT_S:
                    raise ProviderError(
                        f"{what}: that was begun and came to nothing" + (f": {why(view)}" if why(view) else ""),
                        transient=not worked,
                    )
            worked = worked or progress is Progress.UNDER_WAY
            if passed > limit_s:
                raise ProviderError(f"{what}: not after {limit_s / 60:.0f} minutes", hint="look at it in the console")
            looks += 1
            self.cloud.patience.look_again(looks)

    def wait(self, what: str, look: Callable[[View], Progress], *, limit_s: float = LIMIT_S) -> None:
        """Wait for what is under way."""
        self.ensure(what, lambda view: done_if(look(view) is Progress.DONE, under_way=True), bool, limit_s=limit_s)

    def _try(self, call: Callable[[], Any]) -> AwsError | None:
        try:
            call()
        except AwsError as error:
            return error
        return None
