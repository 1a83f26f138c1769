"""The rights that an upgrade needs, as an IAM policy; tests/upgrade/aws runs one with exactly these."""

from __future__ import annotations

# By what needs it; docs/install-aws.md is made of this.
ACTIONS: dict[str, tuple[str, ...]] = {
    "Look": (
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeVolumes",
        "ec2:DescribeSnapshots",
        "ec2:DescribeImages",
        "ec2:DescribeLaunchTemplates",
    ),
    "Lock": ("ec2:CreateLaunchTemplate", "ec2:DeleteLaunchTemplate"),
    "Exchange": (
        "ec2:CreateTags",
        "ec2:CreateVolume",
        "ec2:AttachVolume",
        "ec2:DetachVolume",
        "ec2:DeleteVolume",
        "ec2:CreateSnapshot",
        "ec2:DeleteSnapshot",
        "ec2:StopInstances",
        "ec2:StartInstances",
        "ec2:ModifyInstanceAttribute",
    ),
    # Without it the quota is not looked at.
    "Quota": ("servicequotas:GetServiceQuota",),
}
