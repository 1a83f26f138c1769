"""The rights that the commands need, as an IAM policy; tests/contract/publish/aws runs them with exactly these."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

# By what needs it; docs/install-aws.md is made of this.
ACTIONS: dict[str, tuple[str, ...]] = {
    "Publish": (
        "ebs:StartSnapshot",
        "ebs:PutSnapshotBlock",
        "ebs:CompleteSnapshot",
        "ec2:CreateTags",
        "ec2:DescribeSnapshots",
        "ec2:DeleteSnapshot",
        "ec2:RegisterImage",
        "ec2:DescribeImages",
    ),
    "Copy": ("ec2:DescribeRegions", "ec2:CopyImage"),
    "Share": (
        "ec2:GetEbsEncryptionByDefault",
        "ec2:GetEbsDefaultKmsKeyId",
        "ec2:ModifyImageAttribute",
        "ec2:ModifySnapshotAttribute",
    ),
    "Validate": (
        "ebs:ListSnapshotBlocks",
        "ebs:GetSnapshotBlock",
        "ec2:DescribeImageAttribute",
        "ec2:DescribeSnapshotAttribute",
    ),
    "Unpublish": ("ec2:DeregisterImage",),
}
# With a key of the account's own; EBS uses it in the caller's name
# (docs.aws.amazon.com/ebs/latest/userguide/ebsapi-permissions.html).
KEY_ACTIONS = (
    "kms:DescribeKey",
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncrypt*",
)


def document(needs: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """The policy for `needs`: actions by what needs them, which is what their statement is called."""
    statements = [
        {"Sid": name, "Effect": "Allow", "Action": list(actions), "Resource": "*"} for name, actions in needs.items()
    ]
    key = {
        "Sid": "Encrypt",
        "Effect": "Allow",
        "Action": list(KEY_ACTIONS),
        "Resource": "arn:aws:kms:REGION:ACCOUNT:key/KEY",
    }
    return {"Version": "2012-10-17", "Statement": [*statements, key]}


def text(needs: Mapping[str, Iterable[str]] = ACTIONS) -> str:
    """The policy as it is pasted into the console."""
    return json.dumps(document(needs), indent=2) + "\n"
