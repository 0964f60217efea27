"""Hand-over of finished students."""
