# Provisions a root file system that runs as a container on this machine, reached over SSH on loopback.
# `vvctl image build` starts the container and gives the variables.

variable "ssh_port" {
  type = number
}

variable "ssh_key" {
  type = string
}

variable "ansible_playbook" {
  type        = string
  description = "The program ansible-playbook of the build's own virtual environment."
}

variable "build_id" {
  type = string
}

variable "licence" {
  type        = string
  default     = ""
  description = "File of a licence to package; without it the appliance is an evaluation until it gets one."
}

locals {
  appliance = yamldecode(file("${path.root}/../appliance.yml"))
}

source "null" "native" {
  communicator         = "ssh"
  ssh_host             = "127.0.0.1"
  ssh_port             = var.ssh_port
  ssh_username         = "root"
  ssh_private_key_file = var.ssh_key
  ssh_timeout          = "1m"
}

build {
  sources = ["source.null.native"]

  provisioner "ansible" {
    command       = var.ansible_playbook
    playbook_file = "${path.root}/../ansible/appliance.yml"
    host_alias    = local.appliance.product.name
    user          = "root"
    use_proxy     = false
    extra_arguments = [
      "-e", "wheelhouse=/mnt/wheelhouse",
      "-e", "model_dir=/mnt/model",
      "-e", "build_id=${var.build_id}",
      # As JSON: a path may hold spaces.
      "-e", jsonencode({ licence = var.licence }),
    ]
    ansible_env_vars = [
      "ANSIBLE_CONFIG=${path.root}/../ansible/ansible.cfg",
      "ANSIBLE_NOCOLOR=True",
      # vvctl reads the result of a failed task out of the output.
      "ANSIBLE_CALLBACK_RESULT_FORMAT=json",
    ]
  }
}
