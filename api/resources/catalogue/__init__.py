"""Names that a job may use."""
