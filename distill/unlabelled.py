"""What stands in the place of a label that a sample does not have. Torch-free."""

from __future__ import annotations

NO_LABEL = -1
"""The label of a sample without one, wherever labels are numbers. Every rule that counts classes, splits them or judges
by them leaves such samples out."""
