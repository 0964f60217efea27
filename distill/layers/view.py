"""What of a layer's feature counts: the seam between the shape of a sample and everything that compares features."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from distill.layers.forward import batch_size


class FeatureView:
    """All of a feature, one row a sample: the view of pictures, and the base of all others.

    `per_token`: `rows` keeps an axis of tokens, of which `pick` takes those that count. `padded`: samples of one batch
    are padded to one length, so that whatever goes on from a feature needs the batch's own inputs.
    """

    padded: ClassVar[bool] = False

    @property
    def per_token(self) -> bool:
        return False

    def per_sample(self) -> FeatureView:
        """Itself, or what gives one row a sample in its place."""
        return self

    def shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one row of a feature of this shape a sample."""
        return shape

    def rows(self, feature: Tensor, inputs: Any, marks: Any = None) -> Tensor:
        """(n, *feature shape) -> (m, *row shape). `inputs`: what the network was given; `marks`: what else a batch of
        the Q curve's sample brings (`Marked`), such as the regions of a mask."""
        return feature

    def count(self, inputs: Any, marks: Any = None) -> int:
        """m: how many rows a batch gives."""
        return batch_size(inputs) or 0

    def pick(self, feature: Tensor, inputs: Any, labels: Any, most: int | None = None) -> Tensor:
        """What the losses compare of `rows`' result, at most `most` rows of it; (m, ...)."""
        return feature


WHOLE = FeatureView()
