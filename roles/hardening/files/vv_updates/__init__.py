"""Security updates: on, off, now, and what of them waits for a restart."""
