"""JSON Schema fragments that several recipes share: each stands once. Literals alone, read without an import."""

from __future__ import annotations

from typing import Any

Fragment = dict[str, dict[str, Any]]

FEATURE_LOSS: Fragment = {
    "feature_loss": {
        "type": "string",
        "default": "mse",
        "x-registry": "losses",
        "description": "Feature loss by name, from the catalogue's losses.",
    },
}
FEATURE_WEIGHT: Fragment = {
    "feature_weight": {"type": "number", "minimum": 0, "default": 1.0, "description": "Weight of the feature term."},
}
GRID: Fragment = {
    "grid": {
        "type": "integer",
        "minimum": 1,
        "maximum": 64,
        "default": 2,
        "description": "Losses without a projector compare features pooled to at most grid x grid positions.",
    },
}
PAIRS: Fragment = {
    "normalise": {
        "type": "boolean",
        "default": False,
        "description": "Divide each pair by its teacher feature's root mean square, so that no scale dominates.",
    },
    "layer_weights": {
        "type": ["array", "null"],
        "items": {"type": "number", "minimum": 0},
        "default": None,
        "description": "One weight a pair, in depth order; null: all 1.",
    },
    "layer_schedule": {
        "type": "string",
        "enum": ["constant", "deepest_last"],
        "default": "constant",
        "description": "deepest_last: all pairs but the deepest fade out over the training, by half a cosine.",
    },
    "extra_loss": {
        "type": ["string", "null"],
        "default": None,
        "x-registry": "losses",
        "description": "A second feature loss that joins the first; null: none.",
    },
    "extra_weight": {"type": "number", "minimum": 0, "default": 1.0, "description": "Weight of the second loss."},
}
HEAD_WEIGHT: Fragment = {
    "head_weight": {"type": "number", "minimum": 0, "default": 1.0, "description": "Weight of the head's own loss."},
}
LABEL_WEIGHT: Fragment = {
    "cross_entropy_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Weight of the loss on the labels.",
    },
}
LOGIT_WEIGHT: Fragment = {
    "logit_weight": {
        "type": "number",
        "minimum": 0,
        "default": 1.0,
        "description": "Weight of T^2 KL, whose T^2 stands in the loss once: at 1 the KL itself weighs T^2 = 16.",
    },
}
TEMPERATURE: Fragment = {
    "temperature": {"type": "number", "exclusiveMinimum": 0, "default": 4.0, "description": "T of the softened KL."},
}
SOFTENING: Fragment = {
    "temperature": {
        "type": "number",
        "exclusiveMinimum": 0,
        "default": 1.0,
        "description": "T of the softened probabilities.",
    },
}
