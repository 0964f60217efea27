"""How fast pictures come: `python -m benchmarks.data`."""
