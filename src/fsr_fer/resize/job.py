"""One call of ``imresize``: its parameters and memory layout."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .weights import Axis, Dtype, Pass, build_pass

Side: TypeAlias = Literal["rows", "columns"]

_MOST_INTERLEAVED = 4  # more channels than that are cheaper one plane each


@dataclass(frozen=True, kw_only=True)
class Job:
    """A batch [N, H, W, C] of ``dtype`` to be resized along ``rows`` (H) and ``columns`` (W).

    While it is worked on, the batch lies as [H, n, planes, W, interleaved], n images at a time.
    Then the pass over rows multiplies from the left and that over columns from the right, and
    nothing is transposed between them.
    """

    rows: Axis
    columns: Axis
    channels: int
    dtype: Dtype

    @property
    def interleaved(self) -> int:
        """Channels that lie side by side in memory: all, or 1 if there are many."""
        return self.channels if self.channels <= _MOST_INTERLEAVED else 1

    @property
    def planes(self) -> int:
        """Groups of interleaved channels."""
        return self.channels // self.interleaved

    @property
    def rows_first(self) -> bool:
        """MATLAB's order of the passes: the smaller scale first, rows first when equal."""
        return self.rows.scale <= self.columns.scale

    def passes(self) -> list[tuple[Side, Pass]]:
        """Both passes in MATLAB's order."""
        rows = build_pass(self.rows, 1, self.dtype)
        columns = build_pass(self.columns, self.interleaved, self.dtype)
        passes: list[tuple[Side, Pass]] = [("rows", rows), ("columns", columns)]
        return passes if self.rows_first else passes[::-1]

    @property
    def image_values(self) -> int:
        """Values of one image in the largest buffer any step needs."""
        height = max(self.rows.size, self.rows.out_size)
        width = max(self.columns.size, self.columns.out_size)
        return height * width * self.channels

    def images_at_once(self, buffer_values: int) -> int:
        """How many images fit in buffers of ``buffer_values``; one image always does."""
        return max(1, buffer_values // self.image_values)
