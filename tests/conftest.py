"""Fixtures that every package's tests may use."""

from tests.services.fixtures import *  # noqa: F403
