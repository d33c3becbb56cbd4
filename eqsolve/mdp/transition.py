"""Transition kernels at the door: dense or sparse, one per step or one for all, read-only and checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray, check_shape, float_array
from eqsolve.errors import InvalidData

Kernel: TypeAlias = "FloatArray | sparse.csr_array"

SUM = 1e-9
"""How far the sum of a probability row may be from 1; rows are never rescaled."""


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
    if not _one_per_step(given):
        return (_checked("transition", given, shape, _placer(first, None)),)
    if horizon is None or len(given) != horizon:
        raise InvalidMDP(
            f"transition has {len(given)} kernels and the horizon is {horizon}",
            "Give one kernel (K, S), or with a horizon one per step.",
        )
    return tuple(_checked(f"transition[{h}]", one, shape, _placer(first, h)) for h, one in enumerate(given))


def _one_per_step(given: Any) -> bool:
    if sparse.issparse(given):
        return False
    if isinstance(given, np.ndarray):
        return given.ndim == 3
    if not isinstance(given, tuple | list) or not len(given):
        return False
    try:
        return bool(sparse.issparse(given[0]) or np.ndim(given[0]) == 2)
    except ValueError:  # rows of different lengths; refused with its place further on
        return False


def _placer(first: IntArray, step: int | None) -> Callable[[int], str]:
    def place(pair: int) -> str:
        s = int(np.searchsorted(first, pair, side="right")) - 1
        return f"transition[{'' if step is None else f'h={step}, '}s={s}, a={pair - int(first[s])}]"

    return place


def _checked(what: str, given: Any, shape: tuple[int, int], place: Callable[[int], str]) -> Kernel:
    kernel = _sparse(what, given, shape) if sparse.issparse(given) else float_array(what, given, shape, error=InvalidMDP)
    data: FloatArray = np.asarray(kernel.data) if sparse.issparse(kernel) else kernel.reshape(-1)
    if data.size and data.min() < 0:
        k = int(np.argmax(data < 0))
        row, to = _entry(kernel, k)
        raise InvalidMDP(f"{place(row)} has probability {data[k]:g} for next state {to}")
    total = np.asarray(kernel.sum(axis=1))
    wrong = np.abs(total - 1.0) > SUM
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidMDP(
            f"{place(row)} sums to {total[row]:.12g}, not 1",
            f"{int(wrong.sum())} of {shape[0]} rows fail, this one is the first. If the rows are counts, divide by their sums.",
        )
    return kernel


def _sparse(what: str, given: Any, shape: tuple[int, int]) -> Any:
    """A canonical read-only copy: sorted, without duplicates, without stored zeros."""
    if given.dtype.kind not in "biuf":
        raise InvalidMDP(f"{what} is not a matrix of real numbers: its type is {given.dtype}")
    check_shape(what, given, shape, InvalidMDP)
    kernel = sparse.csr_array(given, dtype=np.float64, copy=True)
    kernel.sum_duplicates()
    bad = ~np.isfinite(kernel.data)
    if bad.any():
        k = int(np.argmax(bad))
        row, to = _entry(kernel, k)
        raise InvalidMDP(f"{what}[{row}, {to}] is {kernel.data[k]}", f"{int(bad.sum())} of {len(bad)} entries are not finite.")
    kernel.eliminate_zeros()
    for part in (kernel.data, kernel.indices, kernel.indptr):
        part.setflags(write=False)
    return kernel


def _entry(kernel: Any, k: int) -> tuple[int, int]:
    """Row and column of the k-th stored entry."""
    if sparse.issparse(kernel):
        return int(np.searchsorted(kernel.indptr, k, side="right")) - 1, int(kernel.indices[k])
    return divmod(k, int(kernel.shape[1]))
