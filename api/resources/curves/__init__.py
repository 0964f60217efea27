"""Q curves of jobs."""
