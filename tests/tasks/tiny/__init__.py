"""Tiny data and networks of each task, a module a task: `make(folder) -> House`."""
