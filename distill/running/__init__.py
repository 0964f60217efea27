"""The phases of a run: preparing, scoring, pairing layers, assessing. `distill.run.run` puts them together."""
