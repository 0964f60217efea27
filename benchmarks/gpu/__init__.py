"""What this project's code does on a GPU, in one command of some minutes: `scripts/gpu-check`."""
