"""What a study costs beside its trials."""
