"""How soon a finished student answers."""
