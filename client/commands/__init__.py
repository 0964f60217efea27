"""Commands, a noun a file."""
