"""Labelled images or texts to distil on."""
