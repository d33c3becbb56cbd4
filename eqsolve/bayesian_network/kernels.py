"""Compiled passes over all cliques of an elimination, laid out by ``plan``; ``contraction`` and ``layout`` have the numpy twins.

Imported on first use only, since numba takes long to load. Every sum runs in an order that the layout alone fixes, in one thread.
Loops over the actions of an agent are short. For two actions they are compiled apart, which takes a third off the time.
"""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.mdp.kernels import ONE, compiled, reassociated

TWO = np.uint64(2)


@reassociated
def downwards(index: Any, pi: FloatArray, mass: FloatArray) -> None:
    """mass (S, R + U) = the probabilities of separators and scopes: each clique, summed onto the tables of its links."""
    mass[:] = 0.0
    for s in range(np.uint64(len(mass))):
        row = mass[s]
        for k in index.certain:
            row[k] = 1.0
        for b in range(np.uint64(len(index.own))):
            m, start = index.own[b], index.table[b] + s * index.stride[b]
            for link in range(index.links[b], index.links[b + ONE]):
                if m == TWO:
                    _marginal(index, b, link, TWO, start, pi, row)
                else:
                    _marginal(index, b, link, m, start, pi, row)


@reassociated
def upwards(
    index: Any, pi: FloatArray, mass: FloatArray, weights: FloatArray, means: FloatArray, scratch: FloatArray, out: FloatArray
) -> None:
    """out (D,) += for every row of the policy, the weight of its state times the sum of P(separator) (I - M) over its clique.

    ``means`` (S, R + U) comes with the utilities in its last U columns, and its first R are filled with M.
    """
    for s in range(np.uint64(len(mass))):
        row = means[s]
        for k in range(np.uint64(len(index.own))):
            b = np.uint64(len(index.own)) - ONE - k
            m, start = index.own[b], index.table[b] + s * index.stride[b]
            size = index.rows[b] * m
            if index.direct[b]:
                to = index.to[index.links[b]]
                inner = row[to : to + size]
            else:
                inner = scratch[:size]
                inner[:] = 0.0
                for link in range(index.links[b], index.links[b + ONE]):
                    _gather(index, b, link, m, row, inner)
            if m == TWO:
                _mean(index, b, TWO, start, pi, inner, weights[s], mass[s], row, out)
            else:
                _mean(index, b, m, start, pi, inner, weights[s], mass[s], row, out)


@reassociated
def mean(mass: FloatArray, first: int, table: FloatArray, out: FloatArray) -> None:
    """out (S, k) = the sums of table (S, k, U) weighted with what stands in mass (S, R + U) from a column on."""
    for s in range(np.uint64(table.shape[0])):
        weights = mass[s, first:]
        for t in range(np.uint64(table.shape[1])):
            total = 0.0
            for u in range(np.uint64(table.shape[2])):
                total += weights[u] * table[s, t, u]
            out[s, t] = total


@reassociated
def add_following(moves: FloatArray, gamma: float, values: FloatArray, first: int, means: FloatArray) -> None:
    """means (S, R + U) += from a column on, gamma times the mean of the values under the moves (S, S, U)."""
    for s in range(np.uint64(moves.shape[0])):
        row = means[s, first:]
        for t in range(np.uint64(moves.shape[1])):
            x = gamma * values[t]
            for u in range(np.uint64(moves.shape[2])):
                row[u] += x * moves[s, t, u]


@compiled
def mix(indptr: Any, data: FloatArray, place: Any, mass: FloatArray, first: int, out: FloatArray) -> None:
    """out += the nonzeros of a CSR kernel (S A, S), weighted with mass (S, R + A) from a column on, each at its place."""
    e = np.uint64(0)
    k = np.uint64(0)
    for s in range(np.uint64(len(mass))):
        weights = mass[s, first:]
        for a in range(np.uint64(len(weights))):
            k += ONE
            end = np.uint64(indptr[k])
            x = weights[a]
            while e < end:
                out[place[e]] += x * data[e]
                e += ONE


@reassociated
def solve(chain: FloatArray, gamma: float, x: FloatArray, y: FloatArray) -> None:
    """Solve (I - gamma P) x = x and (I - gamma P)' y = y in place, for a chain (S, S), by elimination without pivoting.

    Rows are diagonally dominant, so that the diagonal serves as pivot, and numbers at most double. Zeros are passed over.
    """
    S = np.uint64(len(chain))
    factors = np.empty((len(chain), len(chain)))
    ends: Any = np.empty(len(chain), np.uint64)
    for i in range(S):
        row = factors[i]
        ends[i] = i + ONE
        for j in range(S):
            row[j] = -gamma * chain[i, j]
            if row[j] != 0.0:
                ends[i] = max(ends[i], j + ONE)
        row[i] += 1.0
        for k in range(i):
            if row[k] != 0.0:
                pivot = factors[k]
                t = row[k] / pivot[k]
                row[k] = t
                for j in range(k + ONE, ends[k]):
                    row[j] -= t * pivot[j]
                ends[i] = max(ends[i], ends[k])
                x[i] -= t * x[k]
    for i in range(S):
        row = factors[i]
        y[i] /= row[i]
        for j in range(i + ONE, ends[i]):
            y[j] -= y[i] * row[j]
    for k in range(S):
        last = S - ONE - k
        row = factors[last]
        for j in range(last + ONE, ends[last]):
            x[last] -= row[j] * x[j]
        x[last] /= row[last]
        for j in range(last):
            y[j] -= y[last] * row[j]


@compiled
def add_barrier(index: Any, S: int, pi: FloatArray, lam: float, out: FloatArray) -> None:
    """out (D,) += lam / (S |A^P|) (1 / m - pi)."""
    for b in range(np.uint64(len(index.own))):
        n = np.uint64(S) * index.stride[b]
        share = 1.0 / float(index.own[b])
        weight = lam / (float(n) * share)
        for k in range(index.table[b], index.table[b] + n):
            out[k] += weight * (share - pi[k])


@compiled
def shift(index: Any, S: int, logits: FloatArray, out: FloatArray) -> None:
    """out (D,) = logits less the largest of their row."""
    for b in range(np.uint64(len(index.own))):
        m, start = index.own[b], index.table[b]
        n = np.uint64(S) * index.stride[b] // m
        if m == TWO:
            _shift(TWO, n, start, logits, out)
        else:
            _shift(m, n, start, logits, out)


@compiled
def sum_rows(index: Any, S: int, weights: FloatArray, sums: FloatArray) -> None:
    """sums = of every row of weights (D,), clique by clique."""
    first = np.uint64(0)
    for b in range(np.uint64(len(index.own))):
        m, start = index.own[b], index.table[b]
        n = np.uint64(S) * index.stride[b] // m
        if m == TWO:
            _sums(TWO, start, weights, sums[first : first + n])
        else:
            _sums(m, start, weights, sums[first : first + n])
        first += n


@compiled
def normalise(index: Any, S: int, sums: FloatArray, logs: FloatArray, log_pi: FloatArray, pi: FloatArray) -> float:
    """Divide pi (D,) by the sums of its rows and take their logarithms from log_pi (D,); KL(Unif, pi) averaged over the states."""
    divergence = 0.0
    first = np.uint64(0)
    for b in range(np.uint64(len(index.own))):
        m, start = index.own[b], index.table[b]
        n = np.uint64(S) * index.stride[b] // m
        if m == TWO:
            total = _divide(TWO, start, sums[first : first + n], logs[first : first + n], log_pi, pi)
        else:
            total = _divide(m, start, sums[first : first + n], logs[first : first + n], log_pi, pi)
        divergence -= total / float(n * m) + log(float(m))
        first += n
    return divergence


@reassociated
def _marginal(index: Any, b: Any, link: Any, m: Any, start: Any, pi: FloatArray, row: FloatArray) -> None:
    to, maps, first = index.to[link], index.maps[link], index.first[b]
    for r in range(index.rows[b]):
        x = row[first + r]
        at, put = start + index.family[first + r], to + index.into[maps + r]
        for a in range(m):
            row[put + a] += x * pi[at + a]


@reassociated
def _gather(index: Any, b: Any, link: Any, m: Any, row: FloatArray, inner: FloatArray) -> None:
    to, maps = index.to[link], index.maps[link]
    for r in range(index.rows[b]):
        put = to + index.into[maps + r]
        for a in range(m):
            inner[r * m + a] += row[put + a]


@reassociated
def _mean(
    index: Any,
    b: Any,
    m: Any,
    start: Any,
    pi: FloatArray,
    inner: FloatArray,
    weight: float,
    mass: FloatArray,
    row: FloatArray,
    out: FloatArray,
) -> None:
    first = index.first[b]
    for r in range(index.rows[b]):
        at = start + index.family[first + r]
        mean = 0.0
        for a in range(m):
            mean += pi[at + a] * inner[r * m + a]
        row[first + r] = mean
        x = weight * mass[first + r]
        for a in range(m):
            out[at + a] += x * (inner[r * m + a] - mean)


@compiled
def _shift(m: Any, n: Any, start: Any, logits: FloatArray, out: FloatArray) -> None:
    for r in range(n):
        at = start + r * m
        top = logits[at]
        for a in range(ONE, m):
            if logits[at + a] > top:
                top = logits[at + a]
        for a in range(m):
            out[at + a] = logits[at + a] - top


@compiled
def _sums(m: Any, start: Any, weights: FloatArray, sums: FloatArray) -> None:
    for r in range(np.uint64(len(sums))):
        at = start + r * m
        total = weights[at]
        for a in range(ONE, m):
            total += weights[at + a]
        sums[r] = total


@compiled
def _divide(m: Any, start: Any, sums: FloatArray, logs: FloatArray, log_pi: FloatArray, pi: FloatArray) -> float:
    total = 0.0
    for r in range(np.uint64(len(sums))):
        at = start + r * m
        share, part = 1.0 / sums[r], 0.0
        for a in range(m):
            pi[at + a] *= share
            log_pi[at + a] -= logs[r]
            part += log_pi[at + a]
        total += part
    return total
