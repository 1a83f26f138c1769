# For Packer 1.7 and newer: `packer init packer/plugins.pkr.hcl`. Debian's 1.6.6 has these plugins built in and cannot
# read this block, so templates are built by file name, or by a folder without it, and this file stays out of its sight.

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.2.0"
    }
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1.0"
    }
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.0.0"
    }
    vsphere = {
      source  = "github.com/vmware/vsphere"
      version = ">= 2.0.0"
    }
  }
}
