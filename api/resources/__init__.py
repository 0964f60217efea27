"""A folder a noun, with the same file names in each: endpoints, schemas, service."""
