"""Test samples on which students and teachers differ."""
