r"""The expectation over the moves of k agents, for the certificates: written apart from the operators of the methods.

.. math:: (\operatorname{Sym}^k P)\, V(d) = \mathbb E\, V(D'), \qquad D' = \sum_z \operatorname{Multinomial}(d_z, P(\cdot \mid z))
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, frozen
from eqsolve.certificates.rounding import gamma
from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.mean_field.histograms import Histograms, affordable, size
from eqsolve.mean_field.judge.factors import Thinnings, thinnings

Means = Literal["dense", "thinnings", "recursion"]
Result = TypeVar("Result")

DENSE = 400
"""Histograms up to which the expectation is a matrix."""
CLEAN, USABLE = 1e-10, 1e-6
"""Relative errors up to which thinnings are preferred, and up to which they serve where nothing else can."""
THREADED = 20_000
"""Numbers from which on the states of the global agent are dealt out to threads."""
LONGEST = 200_000_000
"""Numbers that the recursion over states may run through for each function."""


@dataclass(frozen=True, slots=True, eq=False)
class SymmetricPower:
    """The expectation for one matrix of moves.

    Parameters
    ----------
    rows : (Z, Z) moves of one agent. k : agents. means : how it is computed. steps : of the thinnings. matrix : (N, N) of "dense".
    error : an exact expectation differs from the computed one by at most this times the largest absolute value.
    """

    rows: FloatArray
    k: int
    means: Means
    steps: Thinnings | None
    matrix: FloatArray | None
    error: float

    def apply(self, values: FloatArray) -> FloatArray:
        """(N, C) expectations of C functions, given as columns."""
        if self.matrix is not None:
            return np.asarray(np.einsum("nm,mc->nc", self.matrix, values))
        if self.steps is None:
            return _recursion(self.rows, self.k, values)
        out = np.array(values[_renamed(self.k, tuple(self.steps.rename.tolist()))], order="C")
        self._thin(out, transposed=False)
        return out

    def transpose(self, mass: FloatArray) -> FloatArray:
        """(N, C) the mass after one move."""
        if self.matrix is not None:
            return np.asarray(np.einsum("nm,nc->mc", self.matrix, mass))
        if self.steps is None:
            return _recursion_transposed(self.rows, self.k, mass)
        out = np.array(mass, order="C")
        self._thin(out, transposed=True)
        moved = np.empty_like(out)
        moved[_renamed(self.k, tuple(self.steps.rename.tolist()))] = out
        return moved

    def _thin(self, values: FloatArray, transposed: bool) -> None:
        from eqsolve.mean_field.judge.kernels import thin

        assert self.steps is not None
        steps = list(zip(self.steps.source.tolist(), self.steps.target.tolist(), self.steps.share.tolist(), strict=True))
        for i, j, share in steps if transposed else steps[::-1]:
            order, starts = lines(self.k, len(self.rows), min(i, j), max(i, j))
            thin(values, order, starts, i > j, share, transposed)


def symmetric_power(rows: FloatArray, k: int, means: Means | None = None) -> SymmetricPower:
    r"""The expectation over moves of k agents by rows (Z, Z), computed by the ``means`` asked for or else by the best ones.

    ``"dense"``: a matrix, for few histograms. ``"thinnings"``: one agent after the other leaves one state for another, along lines
    of histograms; exact for any factorisation, but where weights are negative, rounding grows with the k-th power of its
    amplification. ``"recursion"``: one state after the other sends its agents away, among positive numbers only, which takes
    :math:`\binom{k + 2 Z - 2}{2 Z - 2}` steps.

    Raises
    ------
    InvalidGame : rounding is amplified too much and the recursion is too long; both are told.
    """
    if means is not None and means not in get_args(Means):
        raise InvalidData(f"means is {means!r}, not one of {', '.join(get_args(Means))}")
    Z = len(rows)
    N = affordable(k, Z)
    exact = float(gamma(k * (Z + 3) + 8))
    if means == "dense" or (means is None and N <= DENSE):
        return SymmetricPower(rows, k, "dense", None, frozen(_recursion(rows, k, np.eye(N))), exact + float(gamma(N + 2)))
    long = comb(k + 2 * Z - 2, 2 * Z - 2)
    if means != "recursion":
        steps = thinnings(rows)
        error = _error(steps, k, Z)
        if means or error <= CLEAN or (error <= USABLE and long > LONGEST):
            return SymmetricPower(rows, k, "thinnings", steps, None, error)
        if long > LONGEST:
            raise InvalidGame(
                f"the moves of k = {k:,} agents cannot be judged: each agent amplifies rounding {steps.amplification:.3g}-fold",
                f"By positive numbers alone it would take {long:,} steps, and at most {LONGEST:,} are done. Judge a smaller k.",
            )
    return SymmetricPower(rows, k, "recursion", None, None, exact)


def for_each(number: int, work: Callable[[int], Result], size: int) -> list[Result]:
    """The results of work 0, 1, ..., by several threads where much is to be done; the same whichever they are."""
    workers = min(number, os.cpu_count() or 1) if size > THREADED else 1
    if workers == 1:
        return [work(i) for i in range(number)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(work, range(number)))


@lru_cache(maxsize=64)
def lines(k: int, Z: int, i: int, j: int) -> tuple[npt.NDArray[np.int32], IntArray]:
    """All histograms, sorted by the agents c in i and j, then by those in i, then by the others; and where each c starts."""
    table = Histograms(k, Z).table.astype(np.int64)
    both = table[:, i] + table[:, j]
    rest = table.copy()
    rest[:, i], rest[:, j] = both, 0
    place = Histograms(k, Z).rank(rest)
    starts = np.concatenate([[0], np.cumsum(np.bincount(both, minlength=k + 1))])
    order = np.lexsort((place, table[:, i], both))
    return frozen(order.astype(np.int32)), frozen(starts.astype(np.int64))


@lru_cache(maxsize=16)
def _renamed(k: int, rename: tuple[int, ...]) -> IntArray | slice:
    """(N,) the places of histograms after state z was renamed to rename[z]."""
    if rename == tuple(range(len(rename))):
        return slice(None)
    table = Histograms(k, len(rename)).table
    moved = np.empty_like(table)
    moved[:, list(rename)] = table
    return frozen(Histograms(k, len(rename)).rank(moved))


def _error(steps: Thinnings, k: int, Z: int) -> float:
    """Rounding along all paths of k agents, and that the factors do not multiply to the rows exactly."""
    with np.errstate(over="ignore"):
        grown = float(np.float64(steps.amplification) ** k)
        away = steps.deviation + float(gamma(4 * len(steps.source) + Z)) * steps.amplification
        return grown * float(gamma(3 * k * len(steps.source) + 8)) + k * away * float(np.exp(k * away))


def _recursion(rows: FloatArray, k: int, values: FloatArray) -> FloatArray:
    """(N, C) expectations: the agents of state 0 move one by one, then those of state 1 and so on."""
    Z, (joined, last) = len(rows), _moves(rows, k)
    out: list[FloatArray] = []

    def visit(z: int, left: int, f: FloatArray) -> None:
        """Append the histograms with ``left`` agents from state z on, by f over where these will be."""
        if z == Z - 1:
            out.append(np.einsum("m,mc->c", last[left], f))
            return
        moved = [f]
        for m in range(left - 1, -1, -1):
            moved.append(sum(rows[z, s] * moved[-1][joined[m][s]] for s in range(Z)))
        for here in range(left, -1, -1):
            visit(z + 1, left - here, moved[here])

    visit(0, k, values)
    return np.asarray(out)


def _recursion_transposed(rows: FloatArray, k: int, mass: FloatArray) -> FloatArray:
    """(N, C) mass after one move, by the same steps backwards."""
    Z, (joined, last) = len(rows), _moves(rows, k)
    source = iter(mass)

    def collect(z: int, left: int) -> FloatArray:
        """Where the ``left`` agents from state z on will be, over the histograms that come next."""
        if z == Z - 1:
            return np.outer(last[left], next(source))
        moved = [collect(z + 1, left - here) for here in range(left, -1, -1)][::-1]
        for here in range(left, 0, -1):
            for s in range(Z):
                moved[here - 1][joined[left - here][s]] += rows[z, s] * moved[here]  # the places differ from each other
        return moved[0]

    return collect(0, k)


def _moves(rows: FloatArray, k: int) -> tuple[list[list[IntArray]], list[FloatArray]]:
    """The places of histograms of m < k agents with one more in each state, and the laws of m <= k agents of the last state."""
    Z = len(rows)
    joined = [[Histograms(m, Z).joined(s) for s in range(Z)] for m in range(k)]
    last = [np.ones(1)]
    for places in joined:
        mass = np.zeros(size(len(last), Z))
        for s in range(Z):
            mass[places[s]] += rows[-1, s] * last[-1]
        last.append(mass)
    return joined, last
