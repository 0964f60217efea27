"""Object detection, studied through the HTTP API."""
