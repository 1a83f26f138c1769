"""Finds the data disk by its label; formats a disk only when it is blank beyond doubt."""
