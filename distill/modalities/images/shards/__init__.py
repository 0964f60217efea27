"""Datasets of shards that a job reads where they lie: an index written once, shards fetched when they are needed."""
