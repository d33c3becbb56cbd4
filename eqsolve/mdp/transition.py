"""Transition kernels at the door, with the words for their rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from eqsolve.arrays import SUM, IntArray, Kernel, transition_kernels
from eqsolve.errors import InvalidData

__all__ = ["SUM", "InvalidMDP", "Kernel", "checked_kernels"]


class InvalidMDP(InvalidData):
    """A decision process whose data contradict its own definition."""


def checked_kernels(given: Any, shape: tuple[int, int], horizon: int | None, first: IntArray) -> tuple[Kernel, ...]:
    """One kernel (K, S), or one per step of the horizon, from what a caller gave.

    Parameters
    ----------
    first : (S + 1,) the first pair of each state, for messages.

    Raises
    ------
    InvalidMDP : as ``FiniteMDP``.
    """

    def place(step: int | None, pair: int) -> str:
        s = int(np.searchsorted(first, pair, side="right")) - 1
        return f"transition[{'' if step is None else f'h={step}, '}s={s}, a={pair - int(first[s])}]"

    return transition_kernels(given, shape, horizon, place, InvalidMDP)
