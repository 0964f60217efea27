"""Labelled images to distil on."""
