"""What a customer's calls need: tier, cores, memory, disks, and what each service gets of them."""
