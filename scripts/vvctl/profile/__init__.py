"""Calibration by the customer: recordings to an Audio Source Profile, and what the profile is worth."""
