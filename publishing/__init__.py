"""Hand-over of a finished student to where people keep models (docs/publishing.md)."""
