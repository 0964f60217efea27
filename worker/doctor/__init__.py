"""`retort doctor`: is everything there that a deployment needs, and if not, what to do."""
