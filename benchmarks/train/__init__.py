"""How fast distillation trains: `python -m benchmarks.train` prints one table and the aims that hold or do not."""
