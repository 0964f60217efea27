"""Teachers for the studies under `benchmarks/results/`."""
