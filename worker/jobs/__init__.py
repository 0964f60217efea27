"""One attempt of one job, from its claim to its end, and the trainer process that it supervises."""
