"""The pure library: layer quality, distillation recipes, training. Knows no web, queue, database or settings.

Importing `distill` loads neither torch nor any of its own heavy modules, so that the API process can read the
registries, the types and the curve renderers without them.
"""
