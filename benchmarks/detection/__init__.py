"""Object detection, studied through the HTTP API: blood cells and playing cards (`__main__`)."""
