"""The expected value of independent moves of k agents, by row-stochastic triangular factors and binomial shears."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations
from math import factorial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, frozen
from eqsolve.mean_field.histograms import Histograms

UNIT = 2.0**-53
ZERO = 1e-15
"""Pivots and shares of this size are rounding."""
NEGLIGIBLE = 1e-20
"""Binomial weights below this are left out: all of them together are below rounding."""
ORDERS, PAIRS = 720, 14_400
"""Orders of the states, and pairs of orders, that are tried."""
COMPILE_FROM = 5_000
"""Values from which the compiled pass serves; below, loading the compiler would take longer than it saves."""
KNOWN_FROM, KNOWN = 200_000, range(4, 9)
"""Values from which these numbers of columns are compiled in."""
WIDE = 80
"""Numbers side by side in the compiled pass."""
BLOCK = 4
"""States that vary within a block of lines: the others are fixed, so that a block stays in the cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    r"""A transition matrix as a product of moves of one state to one other: :math:`P = \Pi A_1 A_2 \cdots A_r`.

    Parameters
    ----------
    source, target : (r,) :math:`A_m` moves an agent in ``source[m]`` to ``target[m]`` with probability ``share[m]``.
    share : (r,) in [0, 1], unless ``amplification`` is above 1.
    relabel : (Z,) :math:`\Pi` moves an agent from z to ``relabel[z]``.
    amplification : largest row sum of :math:`|A_1| \cdots |A_r|`; 1 where all moves are genuine.
    error : largest row sum of :math:`|P - \Pi A_1 \cdots A_r|`, computed.
    """

    source: IntArray
    target: IntArray
    share: FloatArray
    relabel: IntArray
    amplification: float
    error: float

    def relative_error(self, k: int) -> float:
        """A bound of the error of any expected value of k agents, per unit of the largest value: rounding, and the factors'."""
        with np.errstate(over="ignore"):
            growth = float(np.float64(self.amplification) ** k)
        return (len(self.share) * (3 * k + 4) * UNIT + k * self.error) * growth


def chain(rows: FloatArray, k: int, accuracy: float) -> Chain:
    """The best chain found for a transition matrix (Z, Z).

    Orders of the states are tried first, the same for rows and columns; then, if the error for k agents is above ``accuracy``,
    different ones.

    Notes
    -----
    :math:`P = L U` with :math:`U` divided by its row sums and :math:`L` multiplied by them: then both have rows that sum to 1.
    The rows of a triangular factor are moves of one state each, and such a move is a chain of moves to one state at a time.
    """
    Z = len(rows)
    orders = _orders(Z)
    best = _best(rows, orders, orders)
    if best.relative_error(k) > accuracy:
        first, second = _pairs(Z)
        other = _best(rows, first, second)
        if other.relative_error(k) < best.relative_error(k):
            return other
    return best


@dataclass(frozen=True, slots=True, eq=False)
class Shears:
    r"""Sym^k(P) for one transition matrix, as shears along the lines of histograms.

    .. math:: (B f)(d) = \sum_{m=0}^{d_i} \binom{d_i}{m} q^m (1-q)^{d_i-m} f(d - m e_i + m e_j), \qquad
              \mathbb E f(D') = B_1 B_2 \cdots B_r f

    Parameters
    ----------
    chain : the factors. k : agents.
    weights : (r, k + 1, k + 1) binomial. first, last : (r, k + 1) the extent of their rows and columns.
    places : (N,) where histograms are after ``chain.relabel``; None where it changes nothing.
    compiled : which twin serves; by size when left out.
    """

    chain: Chain
    k: int
    weights: FloatArray
    first: IntArray
    last: IntArray
    places: IntArray | None
    compiled: bool | None = None

    @staticmethod
    def of(made: Chain, k: int, compiled: bool | None = None) -> Shears:
        """With the binomial weights (r, k + 1, k + 1): entry (c, s) that s of c agents stay, and the first and last above 0."""
        q = made.share
        weights = np.zeros((len(q), k + 1, k + 1))
        weights[:, 0, 0] = 1.0
        for c in range(k):
            weights[:, c + 1, : c + 1] = q[:, None] * weights[:, c, : c + 1]
            weights[:, c + 1, 1 : c + 2] += (1.0 - q)[:, None] * weights[:, c, : c + 1]
        some = np.abs(weights) > NEGLIGIBLE
        weights[~some] = 0.0
        # The own entry is always taken, be it 0.
        first = np.minimum(some.argmax(axis=2), np.arange(k + 1))
        last = np.maximum(k - some[:, ::-1].argmax(axis=1), np.arange(k + 1))
        return Shears(made, k, weights, first, last, _renamed(made.relabel, k), compiled)

    @property
    def error(self) -> float:
        """Of any expected value, per unit of the largest value."""
        return self.chain.relative_error(self.k)

    def forward(self, values: FloatArray) -> None:
        """values (N, C), in place: becomes the expected values after all agents have moved."""
        self._pass(values, back=False)
        if self.places is not None:
            values[:] = values[self.places]

    def backward(self, mass: FloatArray) -> None:
        """mass (N, C), in place: the adjoint of ``forward``; a law of histograms becomes the law after the moves."""
        if self.places is not None:
            mass[self.places] = mass.copy()
        self._pass(mass, back=True)

    def _pass(self, values: FloatArray, *, back: bool) -> None:
        Z, C = len(self.chain.relabel), values.shape[1]
        source, target = self.chain.source, self.chain.target
        if not len(source) or not C:
            return
        weights = self.weights.transpose(0, 2, 1) if back else self.weights
        flipped = source > target
        pairs = _number(Z)[source, target]
        if not (values.size >= COMPILE_FROM if self.compiled is None else self.compiled):
            at = lines(self.k, Z, 0)
            for m in range(len(pairs)) if back else reversed(range(len(pairs))):
                _twin(values, at, int(pairs[m]), weights[m], bool(flipped[m]))
            return
        from eqsolve.mean_field.operators import shear_kernels

        wide = max(1, WIDE // C)
        work = np.empty((self.k + 1, wide * C))
        unit = (0,) * C if values.size >= KNOWN_FROM and C in KNOWN else ()
        limits = self.last if back else self.first
        weights = np.ascontiguousarray(weights)
        shear_kernels.shears_pass(values, lines(self.k, Z, wide), pairs, flipped, weights, limits, back, work, unit)


class Lines(NamedTuple):
    """All histograms, line by line, for every pair i < j: on a line only the numbers of agents in i and j vary, not their sum T.

    Lines of equal T lie side by side in batches: the batch n has ``lanes[n]`` lines of ``lengths[n]`` + 1 histograms each, first
    those with nobody in i.

    Parameters
    ----------
    places : (pairs, N) of the histograms, batch by batch. starts : (pairs + 1,) the first batches. lengths, lanes : (batches,).
    """

    places: npt.NDArray[np.int32]
    starts: IntArray
    lengths: IntArray
    lanes: IntArray


@lru_cache(maxsize=16)
def lines(k: int, Z: int, wide: int) -> Lines:
    """The lines of all pairs in batches of at most ``wide`` lines; 0 is no limit."""
    found = [_of_pair(k, Z, i, j, wide) for i, j in combinations(range(Z), 2)]
    starts = np.cumsum([0, *(len(lengths) for _, lengths, _ in found)])
    places, lengths, lanes = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Lines(frozen(places.reshape(len(found), -1)), frozen(starts.astype(np.int64)), frozen(lengths), frozen(lanes))


def _of_pair(k: int, Z: int, i: int, j: int, wide: int) -> tuple[npt.NDArray[np.int32], IntArray, IntArray]:
    """Of one pair. With a limit, all but four states are fixed within a block of lines, which a processor's cache can hold."""
    some = Histograms(k, Z)
    table = some.table
    fixed = [z for z in range(Z) if z not in (i, j)][: max(Z - BLOCK, 0) if wide else 0]
    heads = np.flatnonzero(table[:, i] == 0)
    keys = np.column_stack([table[heads][:, fixed], table[heads, j]])
    order = np.lexsort([heads, *keys.T[::-1]])
    heads, keys = heads[order], keys[order]
    begins = np.ones(len(heads), dtype=bool)
    begins[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    lane = np.arange(len(heads)) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
    if wide:
        lane %= wide
    batch = np.cumsum(lane == 0) - 1
    lanes, lengths = np.bincount(batch).astype(np.int64), keys[lane == 0, -1].astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lanes * (lengths + 1))])
    number = np.empty(some.size, dtype=np.int64)
    number[heads] = np.arange(len(heads))
    moved = table.astype(np.int64)
    moved[:, j] += moved[:, i]
    moved[:, i] = 0
    line = number[some.rank(moved)]
    places = np.empty(some.size, dtype=np.int32)
    places[offsets[batch[line]] + table[:, i] * lanes[batch[line]] + lane[line]] = np.arange(some.size)
    return places, lengths, lanes


@lru_cache(maxsize=16)
def _number(Z: int) -> IntArray:
    """(Z, Z) the place of a pair among all, in either order."""
    number = np.zeros((Z, Z), dtype=np.int64)
    for at, (i, j) in enumerate(combinations(range(Z), 2)):
        number[i, j] = number[j, i] = at
    return frozen(number)


def _twin(values: FloatArray, at: Lines, pair: int, weights: FloatArray, flipped: bool) -> None:
    start = 0
    for n in range(int(at.starts[pair]), int(at.starts[pair + 1])):
        T, side = int(at.lengths[n]), int(at.lanes[n])
        places = at.places[pair, start : start + (T + 1) * side].reshape(T + 1, side)
        places = places[::-1] if flipped else places
        values[places] = np.einsum("rs,slc->rlc", weights[: T + 1, : T + 1], values[places])
        start += (T + 1) * side


def _renamed(relabel: IntArray, k: int) -> IntArray | None:
    """(N,) where histograms are after their states were given other names; None where the names stay."""
    if np.array_equal(relabel, np.arange(len(relabel))):
        return None
    some = Histograms(k, len(relabel))
    moved = np.empty_like(some.table)
    moved[:, relabel] = some.table
    return some.rank(moved)


@lru_cache(maxsize=8)
def _orders(Z: int) -> IntArray:
    """Orders of the states: all of few, else the given one, its reverse and some more."""
    if factorial(Z) <= ORDERS:
        return frozen(np.array(list(permutations(range(Z))), dtype=np.int64))
    rng = np.random.default_rng(0)
    more = [rng.permutation(Z) for _ in range(ORDERS - 2)]
    return frozen(np.array([np.arange(Z), np.arange(Z)[::-1], *more], dtype=np.int64))


@lru_cache(maxsize=8)
def _pairs(Z: int) -> tuple[IntArray, IntArray]:
    orders = _orders(Z)
    if len(orders) ** 2 <= PAIRS:
        return np.repeat(orders, len(orders), axis=0), np.tile(orders, (len(orders), 1))
    rng = np.random.default_rng(1)
    return tuple(rng.permuted(np.tile(np.arange(Z), (PAIRS, 1)), axis=1) for _ in range(2))  # type: ignore[return-value]  # two of them


def _best(rows: FloatArray, of_rows: IntArray, of_columns: IntArray) -> Chain:
    lower, upper = _factors(rows[of_rows[:, :, None], of_columns[:, None, :]])
    with np.errstate(all="ignore"):
        growth = np.einsum("nij,njk->ni", np.abs(lower), np.abs(upper)).max(axis=1)
    growth = np.where(np.isfinite(growth), growth, np.inf)
    # The first of those that are equally good up to rounding.
    at = int(np.argmax(growth <= growth.min() * (1.0 + 1e-12)))
    return _chain(rows, lower[at], upper[at], of_rows[at], of_columns[at])


def _factors(matrices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(B, Z, Z) each: the triangular factors whose rows sum to those of the matrices, and to 1; inf or NaN where there are none."""
    rest = matrices.copy()
    Z = rest.shape[1]
    lower, upper = np.zeros_like(rest), np.zeros_like(rest)
    with np.errstate(all="ignore"):
        for j in range(Z):
            rest[np.abs(rest) < ZERO] = 0.0
            total, pivot, column = rest[:, j, j:].sum(axis=1), rest[:, j, j], rest[:, j:, j]
            empty = (rest[:, j, j:] == 0.0).all(axis=1)
            upper[:, j, j:] = rest[:, j, j:] / np.where(empty, 1.0, total)[:, None]
            upper[empty, j, j] = 1.0
            # An empty row leaves the column as it is; an empty column asks for nothing of the rows below.
            factor = np.where(empty, 1.0, total / pivot)[:, None] * column
            lower[:, j:, j] = np.where(column == 0.0, 0.0, factor)
            lower[:, j, j] = np.where(empty, 0.0, total)
            rest -= lower[:, :, j, None] * upper[:, None, j, :]
            rest[:, j, :] = 0.0
            rest[:, :, j] = 0.0
    return lower, upper


def _chain(rows: FloatArray, lower: FloatArray, upper: FloatArray, of_rows: IntArray, of_columns: IntArray) -> Chain:
    Z = len(rows)
    moves: list[tuple[int, int, float]] = []
    for factor, turn in ((lower, range(1, Z)), (upper, range(Z - 2, -1, -1))):
        for i in turn:
            left = 1.0
            # Negative shares first: then what is left is enough for the others.
            for j in sorted((j for j in range(Z) if j != i), key=lambda j: factor[i, j]):
                share = float(factor[i, j])
                if share == 0.0:
                    continue
                q = share / left if left else np.inf
                q = min(q, 1.0) if abs(share - left) <= 8 * UNIT else q
                moves.append((i, j, q))
                left -= share
    relabel = np.empty(Z, dtype=np.int64)
    relabel[of_rows] = of_columns
    product, growth = np.eye(Z), np.eye(Z)
    with np.errstate(all="ignore"):
        for i, j, q in moves:
            for matrix, stay, go in ((product, 1.0 - q, q), (growth, abs(1.0 - q), abs(q))):
                matrix[:, j] += go * matrix[:, i]
                matrix[:, i] *= stay
        amplification = float(growth.sum(axis=1).max())
        made = np.empty((Z, Z))
        made[np.ix_(of_rows, of_columns)] = product
        error = float(np.abs(made - rows).sum(axis=1).max())
    if not np.isfinite(amplification + error):
        amplification = error = np.inf
    source = of_columns[[i for i, _, _ in moves]] if moves else np.empty(0, dtype=np.int64)
    target = of_columns[[j for _, j, _ in moves]] if moves else np.empty(0, dtype=np.int64)
    shares: Any = np.array([q for _, _, q in moves], dtype=np.float64)
    return Chain(frozen(source), frozen(target), frozen(shares), frozen(relabel), amplification, error)
