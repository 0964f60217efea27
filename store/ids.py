"""Prefixed identifiers that sort by time of creation: `job_01J...` (a ULID behind the noun)."""

from __future__ import annotations

from ulid import ULID


def new_id(prefix: str) -> str:
    """`prefix` is the noun's short name: job, tch, dst, att, art, wrk, key, tnt."""
    return f"{prefix}_{ULID()}"
