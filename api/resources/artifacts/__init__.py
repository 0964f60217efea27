"""Files that jobs made."""
