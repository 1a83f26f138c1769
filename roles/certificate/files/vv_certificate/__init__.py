"""The TLS certificate of this machine: its private key, the signing request, and the check of what is installed."""
