"""What a person at the console, or a program, is told about this machine."""
