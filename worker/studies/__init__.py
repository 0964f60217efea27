"""Studies, carried on: what ended is told, what does not promise is given up, and what is next is queued."""
