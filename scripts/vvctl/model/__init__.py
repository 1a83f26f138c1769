"""Building the model directory: fetch, check, convert, verify."""
