"""Processes of ours on this machine: where they work, what they see, how they are ordered, and that they are gone."""
