"""What scoring a layer takes beside its features, and how its Gram matrix is therefore held. Arithmetic alone,
torch-free: a job's plan and its estimate before it runs read the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from distill.errors import InvalidConfig

MIB = 2**20
OVERHEAD_BYTES = 32 * MIB  # workspaces of the libraries, and their code touched for the first time (measured: 20)
BUFFER_BYTES = 32 * MIB
BUFFER_SHARE = 16  # of the budget at most a 16th
STRIP_SHARE = 8  # an 8th, where there is room: of a strip, and of the bootstrap's replicates
STRIP_ROWS = 1024  # at most: higher ones save readings of the columns that cost next to nothing
CHUNK_ELEMENTS = 2**22
BLOCK_ELEMENTS = 2**22  # 32 MiB of float64: bounds the class blocks that are held at once
PANELS = 8  # row panels of a symmetric product: 1/2 + 1/16 of the full product's operations
REPLICATE_VALUES = 8  # of a sample and a replicate: weights, shares, sums, bounds
REPLICATES_ELEMENTS = 2**18  # of replicates that are looked at together, where the samples are few
SAMPLE_VALUES = 16  # of a sample beside: norms, bounds, positions
LEAST_COLUMNS = 64  # of a feature in float64, which must have room


def chunk_elements(samples: int) -> int:
    """Elements that the temporaries of a look at an N x N matrix have at most, each of them."""
    return max(min(samples**2, CHUNK_ELEMENTS), samples)


@dataclass(frozen=True, slots=True)
class Sizes:
    """`samples` N; `block` values of the largest class block, or of several that are taken together, and `group` of all
    that one reading of the columns computes; `groups`: how many readings that takes."""

    samples: int
    block: int
    group: int
    groups: int

    @classmethod
    def even(cls, samples: int, classes: int) -> Sizes:
        """Of classes of one size."""
        each = max(samples // max(classes, 1), 1) ** 2
        together = max(min(BLOCK_ELEMENTS // each, classes), 1)
        return cls(samples, each * together, each * together, -(-classes // together))

    @property
    def least_bytes(self) -> int:
        """Of features, that must have room."""
        return self.samples * 8 * LEAST_COLUMNS


@dataclass(frozen=True, slots=True)
class Matrix:
    """How a Gram matrix is held: whole (`height` None) or by strips of `height` rows. `buffer_bytes` of a product;
    `together`: the bootstrap's replicates that one reading serves."""

    samples: int
    height: int | None
    buffer_bytes: int
    together: int = 1

    @property
    def strips(self) -> int:
        """1 where it is whole."""
        return 1 if self.height is None else -(-self.samples // self.height)

    def reads(self, sizes: Sizes, bootstrap: int) -> int:
        """How often a layer's columns are read, where rounding hides nothing: once for the whole matrix; of strips for
        the diagonal, for each strip and for the class blocks, and all but the diagonal again for every `together`
        replicates."""
        if self.height is None:
            return 1
        return 1 + (self.strips + sizes.groups) * (1 + -(-bootstrap // self.together))


def whole_bytes(sizes: Sizes, buffer_bytes: int) -> int:
    """What is taken beside features and forward pass where the matrix is whole: the Gram matrix and a centred one, the
    class blocks, row chunks (or candidate pairs: `distill.quality.refine`), a column block in both precisions, and the
    libraries' own."""
    looked_at = 3 * max(sizes.block, chunk_elements(sizes.samples))
    return OVERHEAD_BYTES + 8 * (2 * sizes.samples**2 + looked_at) + 2 * buffer_bytes


def strip_bytes(sizes: Sizes, matrix: Matrix, dims: int, bootstrap: int) -> int:
    """The same where the matrix is computed by strips: one of them in place of two matrices, the class blocks that are
    computed together, the centre of a layer of `dims` columns, and what is kept of every sample."""
    samples, looked_at = sizes.samples, 3 * max(sizes.group, chunk_elements(sizes.samples))
    kept = (SAMPLE_VALUES + REPLICATE_VALUES * (matrix.together if bootstrap else 0)) * samples + dims
    return OVERHEAD_BYTES + 8 * ((matrix.height or samples) * samples + kept + looked_at) + 2 * matrix.buffer_bytes


def held(sizes: Sizes, memory_bytes: int, forward_bytes: int, dims: int, bootstrap: int = 0) -> tuple[Matrix, int]:
    """The matrix within the budget, whole where it fits, and the bytes that it leaves for features: less than
    `Sizes.least_bytes` where nothing fits."""
    samples, left = sizes.samples, memory_bytes - forward_bytes
    buffer = min(BUFFER_BYTES, memory_bytes // BUFFER_SHARE)
    replicates = max(chunk_elements(samples), REPLICATES_ELEMENTS) // (REPLICATE_VALUES * samples)
    matrix, room = Matrix(samples, None, buffer, max(replicates, 1)), left - whole_bytes(sizes, buffer)
    strips = _strips(samples, memory_bytes, buffer, bootstrap)
    while room < sizes.least_bytes and (smaller := next(strips, None)) is not None:
        matrix, room = smaller, left - strip_bytes(sizes, smaller, dims, bootstrap)
    return matrix, room


def _strips(samples: int, memory_bytes: int, buffer_bytes: int, bootstrap: int) -> Iterator[Matrix]:
    """Ever lower ones, down to a single row. `PANELS` at least: their squares are computed on both sides of the
    diagonal."""
    share = memory_bytes // STRIP_SHARE // (8 * samples)
    height, together = min(share, STRIP_ROWS, -(-samples // PANELS)), min(share // REPLICATE_VALUES, bootstrap)
    while True:
        yield Matrix(samples, max(height, 1), buffer_bytes, max(together, 1))
        if height <= 1 and together <= 1:
            return
        height, together = height // 2, together // 2


def needed_bytes(
    sizes: Sizes, memory_bytes: int, forward_bytes: Callable[[int], int], dims: int, bootstrap: int = 0
) -> int | None:
    """A smallest budget that would do in place of `memory_bytes`; None where that does. `forward_bytes`: what a forward
    pass takes within a budget."""

    def fits(memory: int) -> bool:
        return held(sizes, memory, forward_bytes(memory), dims, bootstrap)[1] >= sizes.least_bytes

    if fits(memory_bytes):
        return None
    low, high = memory_bytes, max(2 * memory_bytes, 1)
    while not fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def too_small(samples: int, needed: int, memory_bytes: int) -> InvalidConfig:
    """Of a budget that holds nothing of `samples`, and what would."""
    return InvalidConfig(
        f"Scoring {samples} samples takes at least {needed / MIB:.0f} MiB; the budget is {memory_bytes / MIB:.0f} MiB.",
        "Raise `quality_memory_bytes`, or lower `quality_samples` or the batch size.",
        {"needed_bytes": needed, "memory_bytes": memory_bytes},
    )
