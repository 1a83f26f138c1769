"""vCenter at the wire: govmomi's simulator made as strict as vCenter, and a client that is not ours. See server.py."""
