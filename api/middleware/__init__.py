"""Layers around the application: what no endpoint should see, HEAD, request ids. They know no resource."""
