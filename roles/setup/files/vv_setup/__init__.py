"""First boot: reads the OVF properties, checks every one, and writes this machine's configuration."""
