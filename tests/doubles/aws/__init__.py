"""AWS at the wire: EBS direct API and images as strict as AWS, everything else by moto. See server.py."""
