"""`python -m client`: the same as `retort`."""

from client.cli import run

run()
