"""Search over jobs: what may vary (`space`), what is tried next (`strategies`, over Optuna), and what the figures say
(`statistics`). Torch-free; Optuna is imported where something is asked of it."""
