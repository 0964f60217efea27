"""Searches over jobs: a base job, a space, a strategy, a budget."""
