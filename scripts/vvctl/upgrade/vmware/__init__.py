"""vSphere: another virtual machine is made of the OVA and gets the data disk and the addresses of the old one."""
