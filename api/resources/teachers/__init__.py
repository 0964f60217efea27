"""Checkpoints to distil from."""
