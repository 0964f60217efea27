"""Finished students asked about single samples."""
