"""Named blocks: what the columns and rows of a program are called, as `p[player, action]` in the papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from eqsolve.arrays import IntArray, frozen
from eqsolve.errors import InvalidProgram, UnknownName, unknown

Index = int | str
Labels = tuple[tuple[str, ...] | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A run of consecutive columns or rows, addressed by named axes.

    A block is rectangular (``shape``, row-major), or ragged over two axes (``counts[k]`` entries at position k of the first
    axis), as actions are over players. A block without axes is one entry, named like the block itself.

    Parameters
    ----------
    name : of the block, such as ``"p"``.
    axes : names of the axes, such as ``("player", "action")``.
    start : absolute position of the first entry.
    shape : lengths of the axes; for a ragged block, leave it out and give ``counts``.
    counts : (K,) entries per position of the first axis, each at least 0.
    labels : per axis, the names of its positions, or None where they are called by number.
    """

    name: str
    axes: tuple[str, ...]
    start: int
    shape: tuple[int, ...] | None = None
    counts: IntArray | None = None
    labels: Labels = ()
    _offsets: IntArray | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise InvalidProgram("a block needs a name")
        if self.counts is not None:
            if self.shape is not None or len(self.axes) != 2:
                raise InvalidProgram(f"block {self.name!r}: a ragged block has two axes, counts and no shape")
            offsets = np.concatenate(([0], np.cumsum(self.counts, dtype=np.int64)))
            object.__setattr__(self, "_offsets", frozen(offsets))
        elif self.shape is None or len(self.shape) != len(self.axes):
            raise InvalidProgram(f"block {self.name!r}: shape {self.shape} does not go with the axes {self.axes}")
        lengths = (len(self.counts), None) if self.counts is not None else self.shape or ()
        for axis, names, length in zip(self.axes, self.labels, lengths, strict=False):
            if names is not None and length is not None and len(names) != length:
                raise InvalidProgram(f"block {self.name!r}: {len(names)} labels for axis {axis!r} of length {length}")

    @property
    def size(self) -> int:
        """Number of entries."""
        return int(self._offsets[-1]) if self._offsets is not None else prod(self.shape or ())

    @property
    def stop(self) -> int:
        """Absolute position after the last entry."""
        return self.start + self.size

    @property
    def slice(self) -> slice:
        """The block's entries in an array over all columns (or rows)."""
        return slice(self.start, self.stop)

    @property
    def header(self) -> str:
        """The block as a person writes it: ``p[player, action]``."""
        return f"{self.name}[{', '.join(self.axes)}]" if self.axes else self.name

    @property
    def extent(self) -> str:
        """Lengths of the axes: ``1000 x 3``, or ``1000 x 2..5`` when ragged."""
        if self.counts is not None:
            low, high = (int(self.counts.min()), int(self.counts.max())) if len(self.counts) else (0, 0)
            return f"{len(self.counts)} x {low if low == high else f'{low}..{high}'}"
        return " x ".join(map(str, self.shape or (1,)))

    def index(self, position: int) -> tuple[int, ...]:
        """Index of the entry at an absolute position."""
        local = position - self.start
        if not 0 <= local < self.size:
            raise UnknownName(f"position {position} is not in block {self.header} ({self.start} to {self.stop - 1})")
        if self._offsets is not None:
            outer = int(np.searchsorted(self._offsets, local, side="right")) - 1
            return outer, local - int(self._offsets[outer])
        return tuple(int(k) for k in np.unravel_index(local, self.shape or ())) if self.axes else ()

    def position(self, *index: Index) -> int:
        """Absolute position of the entry at an index of numbers or labels.

        Raises
        ------
        UnknownName : the wrong number of axes, a number out of range, or a label that does not exist.
        """
        if len(index) != len(self.axes):
            raise UnknownName(f"{self.header} takes {len(self.axes)} indices, not {len(index)}: {list(index)}")
        where = [self._number(axis, one) for axis, one in enumerate(index)]
        if self._offsets is not None and self.counts is not None:
            self._check(0, where[0], len(self.counts))
            self._check(1, where[1], int(self.counts[where[0]]))
            return self.start + int(self._offsets[where[0]]) + where[1]
        for axis, one in enumerate(where):
            self._check(axis, one, (self.shape or ())[axis])
        return self.start + (int(np.ravel_multi_index(where, self.shape or ())) if where else 0)

    def entry(self, position: int) -> str:
        """Name of the entry at an absolute position, such as ``p[418, road 2]``."""
        index = self.index(position)
        if not index:
            return self.name
        return f"{self.name}[{', '.join(self._label(axis, one) for axis, one in enumerate(index))}]"

    def moved(self, start: int) -> Block:
        """The same block at another place."""
        return Block(self.name, self.axes, start, self.shape, self.counts, self.labels)

    def _names(self, axis: int) -> tuple[str, ...] | None:
        return self.labels[axis] if axis < len(self.labels) else None

    def _label(self, axis: int, one: int) -> str:
        names = self._names(axis)
        return names[one] if names is not None and one < len(names) else str(one)

    def _number(self, axis: int, one: Index) -> int:
        names = self._names(axis)
        if isinstance(one, str):
            if names is not None and one in names:
                return names.index(one)
            if one.lstrip("-").isdigit():
                return int(one)
            raise unknown(f"{self.axes[axis]} of {self.header}", one, names or ())
        return int(one)

    def _check(self, axis: int, one: int, length: int) -> None:
        if not 0 <= one < length:
            raise UnknownName(f"{self.axes[axis]} {one} is not in {self.header}: 0 to {length - 1}")


def find_block(blocks: Sequence[Block], position: int) -> Block:
    """The block that holds an absolute position."""
    starts = [block.stop for block in blocks]
    k = int(np.searchsorted(starts, position, side="right"))
    if k == len(blocks) or position < 0:
        raise UnknownName(f"position {position} is in none of the {len(blocks)} blocks")
    return blocks[k]


def named_block(blocks: Sequence[Block], name: str, kind: str) -> Block:
    """The block of a given name."""
    for block in blocks:
        if block.name == name:
            return block
    raise unknown(f"{kind} block", name, [block.name for block in blocks])
