"""`vvctl unpublish aws`: remove what publish made. The tags that it puts on everything say what that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.errors import AwsError
from vvctl.publish.aws.plan import Labels

_GONE = {"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound"}
# For a moment after its image is deregistered, a snapshot still counts as used.
_IN_USE = "InvalidSnapshot.InUse"


class StillUsed(AwsError):
    """Another image is made of the same snapshot."""

    code = "aws_still_used"


@dataclass(frozen=True)
class Made:
    """What stands in one region: images and snapshots with what they are called."""

    region: str
    images: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.images or self.snapshots)


def inventory(cloud: Cloud, regions: Iterable[str], labels: Labels, name: str, publication: str | None) -> list[Made]:
    """What publish made of the image `name` in `regions`, of `publication` alone when that is known.

    Raises StillUsed when an image of somebody else needs one of the snapshots.
    """
    filters = [{"Name": f"tag:{labels.image}", "Values": [name]}]
    filters += [{"Name": f"tag:{labels.publication}", "Values": [publication]}] if publication else []
    found = []
    for region in regions:
        ec2 = cloud.ec2(region)
        images = cloud.call(ec2.describe_images, Owners=["self"], Filters=filters)["Images"]  # type: ignore[arg-type]
        snapshots = cloud.call(ec2.describe_snapshots, OwnerIds=["self"], Filters=filters)["Snapshots"]  # type: ignore[arg-type]
        made = Made(
            region,
            {image["ImageId"]: image["Name"] for image in images},
            {snapshot["SnapshotId"]: snapshot.get("Description", "") for snapshot in snapshots},
        )
        _check_unused(cloud, made)
        found += [made] if made else []
    return found


def remove(cloud: Cloud, made: Made) -> None:
    """Deregister the images, then delete the snapshots; what is gone already is right. Raises AwsError."""
    ec2 = cloud.ec2(made.region)
    for image in made.images:
        try:
            cloud.call(ec2.deregister_image, ImageId=image)
        except AwsError as error:
            if error.aws_code not in _GONE:
                raise
    for snapshot in made.snapshots:
        try:
            cloud.attempt(
                lambda: ec2.delete_snapshot(SnapshotId=snapshot),  # noqa: B023 (called at once)
                "ec2",
                lambda refusal: refusal.aws_code == _IN_USE,
            )
        except AwsError as error:
            if error.aws_code not in _GONE:
                raise


def _check_unused(cloud: Cloud, made: Made) -> None:
    if not made.snapshots:
        return
    filters = [{"Name": "block-device-mapping.snapshot-id", "Values": list(made.snapshots)}]
    users = cloud.call(cloud.ec2(made.region).describe_images, Owners=["self"], Filters=filters)["Images"]  # type: ignore[arg-type]
    if others := [image for image in users if image["ImageId"] not in made.images]:
        named = ", ".join(f"{image['ImageId']} ({image['Name']})" for image in others)
        raise StillUsed(
            f"in {made.region} another image is made of the same snapshots: {named}",
            hint="nothing was removed; deregister that image first, if nobody needs it",
        )
