# A clone of the base machine in a vCenter. Gives a template with both disks.

variable "vcenter_server" {
  type    = string
  default = ""
}

variable "vcenter_username" {
  type    = string
  default = ""
}

# As PKR_VAR_vcenter_password in the environment: command lines can be read by others.
variable "vcenter_password" {
  type      = string
  default   = ""
  sensitive = true
}

variable "vcenter_datacenter" {
  type    = string
  default = ""
}

variable "vcenter_cluster" {
  type    = string
  default = ""
}

variable "vcenter_datastore" {
  type    = string
  default = ""
}

variable "vcenter_folder" {
  type    = string
  default = ""
}

variable "vcenter_network" {
  type    = string
  default = ""
}

variable "vcenter_template" {
  type        = string
  default     = ""
  description = "The imported base.ova, as a machine or a template."
}

source "vsphere-clone" "appliance" {
  vcenter_server = var.vcenter_server
  username       = var.vcenter_username
  password       = var.vcenter_password
  datacenter     = var.vcenter_datacenter
  cluster        = var.vcenter_cluster
  datastore      = var.vcenter_datastore
  folder         = var.vcenter_folder
  network        = var.vcenter_network

  template            = var.vcenter_template
  vm_name             = "${local.appliance.product.name}-${local.appliance.product.version}"
  notes               = "${local.appliance.product.title} ${var.build_id}"
  CPUs                = local.appliance.tiers[0].cores
  RAM                 = local.appliance.tiers[0].memory_gb * 1024
  convert_to_template = true

  ssh_username         = "root"
  ssh_private_key_file = "${local.base}/id_ed25519"
  ssh_timeout          = "20m"
  shutdown_command     = local.power_off
}
