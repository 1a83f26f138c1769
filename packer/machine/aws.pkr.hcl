# A surrogate: any Debian instance that writes the base disk to a volume, provisions it there and makes an AMI of it.
# Boot mode and IMDSv2, which Packer 1.6.6 cannot set, are set by `vvctl publish aws` on the AMIs that it makes.

variable "aws_region" {
  type    = string
  default = ""
}

variable "aws_subnet_id" {
  type        = string
  default     = ""
  description = "Subnet of the surrogate, from which Debian's archive can be reached."
}

variable "aws_instance_type" {
  type    = string
  default = "c6i.large"
}

variable "aws_kms_key_id" {
  type        = string
  default     = ""
  description = "Key that encrypts the AMI's disks; empty for the account's own."
}

locals {
  # Where the surrogate sees the disk to be; its own root has the name that the AMI's root will have.
  surrogate_device = "/dev/sdg"
  # What gp3 has anyway, but Packer 1.6.6 wants it said; throughput in MiB/s.
  iops       = 3000
  throughput = 125
}

source "amazon-ebssurrogate" "appliance" {
  region                      = var.aws_region
  subnet_id                   = var.aws_subnet_id
  instance_type               = var.aws_instance_type
  associate_public_ip_address = true
  ssh_username                = "admin"

  source_ami_filter {
    filters = {
      name                = "debian-12-amd64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    # Debian's own account: https://wiki.debian.org/Cloud/AmazonEC2Image
    owners      = ["136693071363"]
    most_recent = true
  }

  ami_name                = "${local.appliance.product.name}-${local.appliance.product.version}-${formatdate("YYYYMMDDhhmm", timestamp())}"
  ami_description         = "${local.appliance.product.title} ${var.build_id}"
  ami_virtualization_type = "hvm"
  ena_support             = true
  encrypt_boot            = true
  kms_key_id              = var.aws_kms_key_id

  launch_block_device_mappings {
    device_name           = local.surrogate_device
    volume_size           = local.appliance.disks.system.size_gb
    volume_type           = local.appliance.aws.volume_type
    iops                  = local.iops
    throughput            = local.throughput
    delete_on_termination = true
  }

  ami_root_device {
    source_device_name    = local.surrogate_device
    device_name           = local.appliance.aws.root_device
    volume_size           = local.appliance.disks.system.size_gb
    volume_type           = local.appliance.aws.volume_type
    delete_on_termination = true
  }

  # Blank: first boot formats it. It outlives the machine.
  ami_block_device_mappings {
    device_name           = local.appliance.aws.data_device
    volume_size           = local.appliance.disks.data.size_gb
    volume_type           = local.appliance.aws.volume_type
    iops                  = local.iops
    throughput            = local.throughput
    delete_on_termination = false
  }

  tags = {
    Name    = local.appliance.product.name
    Version = local.appliance.product.version
    Build   = var.build_id
  }
}
