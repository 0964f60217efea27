"""What happened in a job: events, metrics, logs, attempts, checkpoints."""
