"""Credentials for other services, which go in and never come out."""
