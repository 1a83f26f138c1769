"""The packaged Audio Source Profiles, as data."""
