"""Calls by the media protocols of others: adapters without any input or output, and the connection around them."""
