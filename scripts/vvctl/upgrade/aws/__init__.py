"""AWS: the instance stays, its root volume is exchanged for one that is made of the new image's root snapshot."""
