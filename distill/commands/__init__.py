"""Local commands of the `retort` program. Defining them imports no torch; running them does."""
