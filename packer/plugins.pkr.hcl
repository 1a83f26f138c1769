# For Packer 1.7 and newer: `packer init packer/plugins.pkr.hcl`. Debian's 1.6.6 has these plugins built in and cannot
# read this block, so templates are built by file name and this file stays out of its sight.

packer {
  required_plugins {
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1.0"
    }
  }
}
