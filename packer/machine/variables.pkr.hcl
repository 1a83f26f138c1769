# What all sources share. Values of the product come from appliance.yml. Name this folder by its whole path: Packer 1.6.6 takes
# relative paths of files from the folder of the template, path.root from where it was started.

variable "ansible_playbook" {
  type        = string
  default     = "ansible-playbook"
  description = "The program ansible-playbook, of the version that requirements/build.txt pins."
}

variable "build_id" {
  type        = string
  description = "Names this build in the image, for example 1.2.3+20260101."
}

variable "licence" {
  type        = string
  default     = ""
  description = "File of a licence to package; without it the appliance is an evaluation until it gets one."
}

variable "output" {
  type        = string
  default     = "build/machine"
  description = "Folder for what is written on this machine; must not exist yet."
}

# None refers to another one: 1.6.6 does not sort them.
locals {
  root      = "${path.root}/../.."
  appliance = yamldecode(file("${path.root}/../../appliance.yml"))
  # `vvctl image base` makes it: disk, key, wheels and model.
  base = "${path.root}/../../build/base"
}
