"""Which processes are ours, and whether they still do anything."""
