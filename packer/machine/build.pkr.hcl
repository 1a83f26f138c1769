# The same roles on any of the sources; -only= chooses one.

locals {
  # Services are not stopped one by one: some would leave this machine's identity behind again.
  power_off = "sync && systemctl poweroff --force"
}

build {
  sources = [
    "source.qemu.appliance",
    "source.vsphere-clone.appliance",
    "source.amazon-ebssurrogate.appliance",
  ]

  provisioner "file" {
    source      = "${local.base}/inputs.tar"
    destination = "/tmp/inputs.tar"
  }

  provisioner "shell" {
    only   = ["qemu.appliance", "vsphere-clone.appliance"]
    script = "${path.root}/scripts/unpack.sh"
  }

  provisioner "file" {
    only        = ["amazon-ebssurrogate.appliance"]
    source      = "${local.base}/base-system.raw.zst"
    destination = "/tmp/system.raw.zst"
  }

  provisioner "shell" {
    only            = ["amazon-ebssurrogate.appliance"]
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    environment_vars = [
      "SIZE_GB=${local.appliance.disks.system.size_gb}",
      "LABEL=${local.appliance.disks.system.label}",
    ]
    script = "${path.root}/scripts/surrogate-open.sh"
  }

  # On the surrogate, root's door leads into the disk to be.
  provisioner "ansible" {
    command       = var.ansible_playbook
    playbook_file = "${local.root}/ansible/appliance.yml"
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
    ansible_env_vars = ["ANSIBLE_CONFIG=${local.root}/ansible/ansible.cfg"]
  }

  provisioner "shell" {
    only   = ["qemu.appliance", "vsphere-clone.appliance"]
    script = "${path.root}/scripts/seal.sh"
  }

  provisioner "shell" {
    only            = ["amazon-ebssurrogate.appliance"]
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    script          = "${path.root}/scripts/surrogate-close.sh"
  }
}
