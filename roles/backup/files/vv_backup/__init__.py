"""Backups of the service on the data disk: encrypted, the newest ones kept, and never more than there is room for."""
