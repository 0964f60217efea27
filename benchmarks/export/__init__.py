"""What exports cost and gain: `python -m benchmarks.export` prints one table a student."""
