"""Finished students, handed over elsewhere."""
