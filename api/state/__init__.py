"""What one API process holds between requests, and how an endpoint asks for it."""
