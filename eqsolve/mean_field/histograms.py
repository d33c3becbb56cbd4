"""Histograms of k agents over Z states: their list, their order, and what a single move does to their place in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array, frozen, whole_number
from eqsolve.errors import InvalidData

LARGEST = 250_000_000
"""Most numbers, over all histograms, that are held at once: 2 GB of them."""

Counts = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Histograms:
    r"""How many of k agents are in each of Z states: all ways, in descending lexicographic order.

    .. math:: \mathcal D_k = \Big\{ d \in \mathbb Z_{\ge 0}^Z : \sum_z d_z = k \Big\}, \qquad
              N_k = |\mathcal D_k| = \binom{k + Z - 1}{Z - 1}

    The first is (k, 0, ..., 0), the last (0, ..., 0, k). With tails :math:`t_j = \sum_{i \ge j} d_i` the place of a histogram is

    .. math:: \operatorname{rank}(d) = \sum_{j=1}^{Z-1} \binom{t_j - 1 + Z - j}{Z - j},

    which does not depend on :math:`d_0`: the histograms of k agents are the first :math:`N_k` of those of k + 1 agents, one more
    agent in state 0.

    Parameters
    ----------
    k : agents, at least 0. Z : states, at least 1.

    Raises
    ------
    InvalidData : k or Z out of range. The list itself (``table``) is refused where it is larger than memory; see ``affordable``.

    Notes
    -----
    :math:`d / k` are the empirical distributions :math:`\mu_k(\mathcal S_l)` of Definition 3.1 of the paper.

    Examples
    --------
    >>> Histograms(2, 3).table.tolist()
    [[2, 0, 0], [1, 1, 0], [1, 0, 1], [0, 2, 0], [0, 1, 1], [0, 0, 2]]
    >>> int(Histograms(2, 3).rank([1, 0, 1]))
    2
    >>> Histograms(50, 5).size
    316251
    """

    k: int
    Z: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", whole_number("k", self.k, 0))
        object.__setattr__(self, "Z", whole_number("Z", self.Z, 1))

    @property
    def size(self) -> int:
        """N, the number of histograms."""
        return size(self.k, self.Z)

    @property
    def table(self) -> Counts:
        """(N, Z) all histograms, read-only; made once.

        Raises
        ------
        InvalidData : they would not fit in memory.
        """
        affordable(self.k, self.Z, self.Z)
        return _table(self.k, self.Z)

    def rank(self, counts: npt.ArrayLike) -> IntArray:
        """(...) the places of histograms (..., Z); numbers that are no histogram of k agents give no meaningful place."""
        tails = np.cumsum(np.asarray(counts, dtype=np.int64)[..., ::-1], axis=-1)[..., ::-1]
        places = np.zeros(tails.shape[:-1], dtype=np.int64)
        before = rank_table(self.k, self.Z)
        for j in range(1, self.Z):
            places += before[j][tails[..., j]]
        return places

    def checked_rank(self, counts: npt.ArrayLike) -> IntArray:
        """``rank`` of numbers that are checked first.

        Raises
        ------
        InvalidData : a row is no histogram of k agents over Z states; it is named.
        """
        given = np.asarray(counts)
        if given.ndim < 1 or given.shape[-1] != self.Z or given.dtype.kind not in "iu":
            raise InvalidData(
                f"counts has shape {given.shape} and type {given.dtype}",
                f"Give whole numbers of {self.Z} states along the last axis.",
            )
        rows = given.reshape(-1, self.Z)
        wrong = (rows.min(axis=1) < 0) | (rows.sum(axis=1) != self.k)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise InvalidData(f"counts[{at}] is {rows[at].tolist()}, no histogram of {self.k} agents")
        return self.rank(given)

    def move(self, i: int, j: int) -> IntArray:
        """(N,) the place of every histogram after one agent went from state i to state j; -1 where nobody is in i."""
        for name, state in (("i", i), ("j", j)):
            whole_number(name, state, 0, most=self.Z - 1)
        return _move(self.k, self.Z, int(i), int(j))

    def without(self, i: int) -> IntArray:
        """(N,) the place among the histograms of k - 1 agents after one agent of state i has left; -1 where nobody is in i."""
        state = whole_number("i", i, 0, most=self.Z - 1)
        if self.k == 0:
            return frozen(np.full(1, -1, dtype=np.int64))
        return _without(self.k, self.Z, state)

    def joined(self, j: int) -> IntArray:
        """(N,) the place among the histograms of k + 1 agents after one agent has come to state j."""
        state = whole_number("j", j, 0, most=self.Z - 1)
        return _joined(self.k, self.Z, state)

    def mean(self, values: npt.ArrayLike) -> FloatArray:
        """(..., N) the average over the agents of a histogram of a function of their state (..., Z).

        Raises
        ------
        InvalidData : another length, or k = 0: there is nobody to average over.
        """
        given = float_array("values", values)
        if self.k == 0 or given.ndim < 1 or given.shape[-1] != self.Z:
            what = "k is 0, there is nobody to average over" if self.k == 0 else f"values has shape {given.shape}"
            raise InvalidData(what, f"Give k >= 1 and values of {self.Z} states along the last axis.")
        return np.asarray(np.einsum("...z,nz->...n", given, self.table) / self.k)


def size(k: int, Z: int) -> int:
    """The number of histograms of k agents over Z states, of any size, without making them."""
    return comb(k + Z - 1, Z - 1)


def affordable(k: int, Z: int, numbers: int = 1, what: str = "values", error: type[InvalidData] = InvalidData) -> int:
    """The number of histograms, where so many numbers for each of them can be held.

    Parameters
    ----------
    numbers : how many numbers are held per histogram. what : what they are, for the message.

    Raises
    ------
    error : there are more than ``LARGEST`` in all; the message tells the size of the space and the largest k that fits.

    Examples
    --------
    >>> affordable(50, 5, numbers=25)
    316251
    """
    found = size(k, Z)
    if found * numbers > LARGEST:
        fits = largest_k(Z, numbers)
        most = f"The largest k that fits is {fits:,}." if fits is not None else "No k fits: there are too many states."
        raise error(
            f"{k:,} agents over {Z:,} states have {_in_words(found)} histograms, {_in_words(found * numbers)} {what}",
            f"At most {LARGEST:,} are held. {most}",
        )
    return found


def largest_k(Z: int, numbers: int = 1) -> int | None:
    """The largest k whose histograms over Z states can have so many numbers each; None where not even k = 1 can.

    Examples
    --------
    >>> largest_k(5), largest_k(5, 25)
    (275, 121)
    """
    if Z == 1:
        return LARGEST if numbers <= LARGEST else None
    if size(1, Z) * numbers > LARGEST:
        return None
    low, high = 1, 2
    while size(high, Z) * numbers <= LARGEST:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle, Z) * numbers <= LARGEST else (low, middle)
    return low


@lru_cache(maxsize=64)
def rank_table(k: int, Z: int) -> IntArray:
    """(Z, k + 1) what a tail t_j = t adds to the place of a histogram: C(t - 1 + Z - j, Z - j); row 0 is not used."""
    return frozen(
        np.array([[comb(t - 1 + Z - j, Z - j) if j and t else 0 for t in range(k + 1)] for j in range(Z)], dtype=np.int64)
    )


@lru_cache(maxsize=16)
def _table(k: int, Z: int) -> Counts:
    left = np.array([k], dtype=np.int32)
    columns: list[npt.NDArray[Any]] = []
    for _ in range(Z - 1):
        choices = left + 1
        ends = np.cumsum(choices)
        taken = np.repeat(ends, choices) - 1 - np.arange(int(ends[-1]))  # r, r - 1, ..., 0 of each r that was left
        columns = [np.repeat(column, choices) for column in columns]
        columns.append(taken.astype(np.int32))
        left = np.repeat(left, choices) - columns[-1]
    return frozen(np.stack([*columns, left], axis=1))


@lru_cache(maxsize=64)
def _move(k: int, Z: int, i: int, j: int) -> IntArray:
    return _shifted(k, Z, k, (i, j))


@lru_cache(maxsize=32)
def _without(k: int, Z: int, i: int) -> IntArray:
    return _shifted(k, Z, k - 1, (i, None))


@lru_cache(maxsize=32)
def _joined(k: int, Z: int, j: int) -> IntArray:
    return _shifted(k, Z, k + 1, (None, j))


def _shifted(k: int, Z: int, to: int, change: tuple[int | None, int | None]) -> IntArray:
    """The places among the histograms of ``to`` agents after one left a state and one came to a state."""
    given = Histograms(k, Z).table
    source, target = change
    held = np.ones(len(given), dtype=bool) if source is None else given[:, source] > 0
    moved = given.astype(np.int64)
    if source is not None:
        moved[:, source] -= held
    if target is not None:
        moved[:, target] += 1 if source is None else held
    places = np.full(len(given), -1, dtype=np.int64)
    places[held] = Histograms(to, Z).rank(moved[held])
    return frozen(places)


def _in_words(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"about 10^{len(str(number)) - 1}" if number < 10**4000 else "more than 10^4000"
