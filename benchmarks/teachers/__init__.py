"""Teachers and students from elsewhere, studied through the HTTP API."""
