"""Python client and the `retort` command. Knows the HTTP contract and nothing else of ours."""

from client.api import Retort
from client.errors import ProblemError, RetortClientError, Unreachable

__all__ = ["ProblemError", "Retort", "RetortClientError", "Unreachable"]
