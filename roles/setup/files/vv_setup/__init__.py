"""First boot: reads the properties that the platform gives, checks every one, and writes the configuration."""
