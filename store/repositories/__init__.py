"""Queries, one noun a file. Every function takes the caller's session: the caller owns the transaction."""
