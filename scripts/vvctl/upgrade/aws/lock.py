"""The lock: a launch template whose name is derived from the instance."""

from __future__ import annotations

import time

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.errors import AwsError
from vvctl.upgrade.aws.facts import Facts
from vvctl.upgrade.aws.hands import Hands, done_if
from vvctl.upgrade.aws.marks import BY, MACHINE, UPGRADE, lock_name, specification
from vvctl.upgrade.aws.view import Lock
from vvctl.upgrade.errors import LockedByAnother, ProviderError

_TAKEN = "InvalidLaunchTemplateName.AlreadyExistsException"
# A tag's value takes no more.
_TAG_LENGTH = 256


class Mutex:
    """Takes the lock and gives it back. Raises AwsError, ProviderError and LockedByAnother."""

    def __init__(self, cloud: Cloud, facts: Facts, upgrade: str, hands: Hands) -> None:
        self._ec2, self._facts, self._upgrade, self._hands = cloud.ec2(facts.region), facts, upgrade, hands
        self._cloud = cloud

    def take(self) -> bool:
        """Whether it was free: then nothing that this upgrade made can be there yet, or it is long seen."""
        found = self._hands.viewer.look().lock
        made = found is None and self._make()
        began, looks = time.monotonic(), 0
        while found is None:
            found = self._hands.viewer.look().lock
            if found is None and time.monotonic() - began > self._hands.settle_s:
                raise ProviderError("the lock was made, and is not seen", transient=True)
            looks += 1
            self._cloud.patience.look_again(looks)
        if found.upgrade != self._upgrade:
            raise self._taken(found)
        return made

    def give_back(self) -> None:
        """Delete the template when it is ours: by its id, so that it is never another one of that name."""
        found = self._hands.viewer.look().lock
        if found is not None and found.upgrade == self._upgrade:
            self._hands.ensure(
                "the lock is given back",
                lambda view: done_if(view.lock is None or view.lock.id != found.id),
                lambda: self._cloud.call(self._ec2.delete_launch_template, LaunchTemplateId=found.id),
            )

    def _make(self) -> bool:
        tags = {UPGRADE: self._upgrade, MACHINE: self._facts.instance, BY: self._facts.by[:_TAG_LENGTH]}
        try:
            self._cloud.call(
                self._ec2.create_launch_template,
                LaunchTemplateName=lock_name(self._facts.instance),
                VersionDescription=f"vvctl upgrade {self._upgrade} is under way",
                LaunchTemplateData={"ImageId": self._facts.image},
                TagSpecifications=specification("launch-template", tags),
            )
        except AwsError as error:
            if error.aws_code != _TAKEN:
                raise
            # By somebody else, or by an attempt of ours whose answer was lost.
            return False
        return True

    def _taken(self, found: Lock) -> LockedByAnother:
        name = lock_name(self._facts.instance)
        return LockedByAnother(
            f"{self._facts.machine} is being upgraded by {found.by} since {found.since:%Y-%m-%d %H:%M} UTC",
            hint=f"`vvctl upgrade status` there; if that computer is lost, delete the launch template {name}",
        )
