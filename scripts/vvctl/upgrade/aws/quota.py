"""Whether the account may have the volumes that an upgrade, and the way back, make."""

from __future__ import annotations

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.errors import AwsError
from vvctl.upgrade.aws.facts import Facts
from vvctl.upgrade.aws.view import View, everything
from vvctl.upgrade.plan import Finding

# Storage of a volume type in a region, in TiB (docs.aws.amazon.com/general/latest/gr/ebs-service.html).
_CODES = {"gp2": "L-D18FCD1D", "gp3": "L-7A658B76", "io1": "L-FD252861", "io2": "L-09BD8365"}


def quota_findings(cloud: Cloud, facts: Facts, view: View) -> list[Finding]:
    """Of each volume type that has no room for another system volume and another data volume."""
    need: dict[str, int] = {}
    for volume in (view.old, view.data):
        if volume is not None:
            need[volume.found["VolumeType"]] = need.get(volume.found["VolumeType"], 0) + volume.found["Size"]
    found = []
    for kind, gib in need.items():
        limit = _limit_gib(cloud, facts.region, kind)
        if limit is None:
            continue
        filters = [{"Name": "volume-type", "Values": [kind]}]
        used = sum(
            entry["Size"] for entry in everything(cloud, facts.region, "describe_volumes", "Volumes", Filters=filters)
        )
        if used + gib > limit:
            found.append(
                Finding(
                    f"the way back may need {gib} GiB more of {kind} volumes; {used} of {limit:.0f} GiB are in use",
                    f"ask for more under Service Quotas ({_CODES[kind]})",
                )
            )
    return found


def _limit_gib(cloud: Cloud, region: str, kind: str) -> float | None:
    """None when it cannot be read: that is no reason not to upgrade."""
    if kind not in _CODES:
        return None
    try:
        quota = cloud.call(cloud.quotas(region).get_service_quota, ServiceCode="ebs", QuotaCode=_CODES[kind])
    except AwsError:
        return None
    tib: float = quota["Quota"]["Value"]
    return tib * 1024
