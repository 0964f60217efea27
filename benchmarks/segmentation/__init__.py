"""Semantic segmentation, studied through the HTTP API."""
