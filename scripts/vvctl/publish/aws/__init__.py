"""AWS: both disks as EBS snapshots, written block by block, and the image (AMI) that is made of them."""
