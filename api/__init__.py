"""The HTTP service: FastAPI over the store. Imports no torch."""
