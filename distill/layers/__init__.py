"""Generalised layers of any network: find them (`discover`), read them (`capture`, `run_until`)."""

from distill.layers.discovery import discover
from distill.layers.hooks import Capture, Features, capture, run_until
from distill.layers.sequence import SequenceView
from distill.layers.view import WHOLE, FeatureView
from distill.types import Layer

__all__ = ["WHOLE", "Capture", "FeatureView", "Features", "Layer", "SequenceView", "capture", "discover", "run_until"]
