"""What recipes are made of: their base class, passes over features, pairs of layers, tails of networks, projectors.

No file here is a registry entry; the entries are in `distill.recipes`.
"""
