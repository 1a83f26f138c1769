# A virtual machine on this host, which starts from the base disk. Gives the system disk.

variable "qemu_cpus" {
  type    = number
  default = 2
}

variable "qemu_memory_mb" {
  type    = number
  default = 2048
}

locals {
  # /dev/kvm may be there although its guests do not run: the processor's own word counts.
  virtualizes = length(setintersection(split(" ", replace(file("/proc/cpuinfo"), "\n", " ")), ["vmx", "svm"])) > 0
}

source "qemu" "appliance" {
  disk_image       = true
  iso_url          = "${local.base}/system.raw"
  iso_checksum     = "file:${local.base}/SHA256SUMS"
  format           = "raw"
  disk_size        = "${local.appliance.disks.system.size_gb}G"
  disk_interface   = "virtio"
  net_device       = "virtio-net"
  accelerator      = local.virtualizes ? "kvm" : "tcg"
  machine_type     = "q35"
  cpus             = var.qemu_cpus
  memory           = var.qemu_memory_mb
  headless         = true
  output_directory = var.output
  vm_name          = "${local.appliance.product.name}-${local.appliance.product.version}-system.raw"
  # Without virtualization, guests of QEMU 7.2 do not start with five-level page tables.
  qemuargs = [["-cpu", local.virtualizes ? "host" : "max,la57=off"]]

  ssh_username         = "root"
  ssh_private_key_file = "${local.base}/id_ed25519"
  # An emulated machine takes minutes to start.
  ssh_timeout      = "20m"
  shutdown_command = local.power_off
}
