"""The networks of image classification, with one output."""

from distill.tasks.classify_images.networks import catalogue, examine, measure

__all__ = ["answers", "catalogue", "examine", "measure"]


def answers(report: dict[str, object]) -> bool:
    return report["num_classes"] == 1
