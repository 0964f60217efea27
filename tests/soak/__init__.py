"""Endurance: `make soak`. Not collected by itself (no file is named test_*)."""
