"""Caps of a text table, and which of its values may be nested."""

from __future__ import annotations

from distill.data.columns import CHATS, key
from distill.data.row_checks import RowLimits

LIMITS = RowLimits(rows=5_000_000, total_bytes=16 << 30, nested=frozenset(map(key, CHATS)))
