"""Many programs of one shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from eqsolve.programs.program import Program, Update


class ProgramFamily(ABC):
    """Programs that share their matrix and differ in values: a stage program for every cell of a grid.

    ``family[i]`` builds the i-th program for inspection; a session of a backend answers all of them by updating values in
    place, so that a family never holds more than one program.
    """

    @property
    @abstractmethod
    def base(self) -> Program:
        """The program whose shape all members have."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of members; a grid can have more than ``len`` can tell."""

    @abstractmethod
    def update(self, i: int) -> Update:
        """The values in which member i differs from ``base``."""

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Program:
        if not -self.size <= i < self.size:
            raise IndexError(f"program {i} of {self.size}")
        return self.base.with_values(self.update(i % self.size))

    def __iter__(self) -> Iterator[Program]:
        return (self[i] for i in range(self.size))
