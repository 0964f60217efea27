"""Load on the HTTP API: how fast, and what the next bottleneck is."""
