"""Files too large for one request."""
