"""Bearer keys of a tenant."""
