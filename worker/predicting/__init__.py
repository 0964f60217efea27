"""Finished students kept ready to be asked: docs/decisions/0023."""
