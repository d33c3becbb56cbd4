"""True optima of tiny programs in rational arithmetic, by going through all vertices; and random programs."""

from fractions import Fraction
from itertools import combinations

import numpy as np
from hypothesis import strategies as st
from scipy import sparse

from eqsolve.programs import Program

INF = np.inf


def program(c, A, rows, columns, *, sense="min", Q=None, offset=0.0, integer=None, cones=()):
    """A dense program; ``rows`` and ``columns`` are (lower, upper), scalars or lists."""
    c = np.asarray(c, dtype=float)
    A = np.asarray(A, dtype=float).reshape(-1, len(c))
    spread = [np.broadcast_to(np.asarray(one, float), n).copy() for pair, n in ((rows, len(A)), (columns, len(c))) for one in pair]
    quadratic = None if Q is None else sparse.csc_array(np.asarray(Q, dtype=float))
    whole = None if integer is None else np.asarray(integer, dtype=bool)
    return Program(
        "tiny", sense, c, sparse.csc_array(A), *spread, Q=quadratic, offset=offset, integrality=whole, cones=tuple(cones)
    )


def solve_square(matrix, right):
    """The solution of a square rational system, None if it is singular."""
    n = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k] != 0), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [one / rows[k][k] for one in rows[k]]
        for i in range(n):
            if i != k:
                rows[i] = [a - rows[i][k] * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[n] for row in rows]


def exact_optimum(lp):
    """The optimum of a feasible LP over a polytope as a Fraction, None if no vertex is feasible."""
    n = lp.n_columns
    A = [[Fraction(v) for v in row] for row in lp.A.toarray()] + [[Fraction(int(i == j)) for j in range(n)] for i in range(n)]
    lower, upper = np.append(lp.row_lower, lp.col_lower), np.append(lp.row_upper, lp.col_upper)
    planes = [
        (row, Fraction(side))
        for row, pair in zip(A, zip(lower, upper, strict=True), strict=True)
        for side in set(pair)
        if np.isfinite(side)
    ]
    best = None
    for chosen in combinations(planes, n):
        x = solve_square([row for row, _ in chosen], [side for _, side in chosen])
        if x is None:
            continue
        activity = [sum((a * b for a, b in zip(row, x, strict=True)), Fraction(0)) for row in A]
        if all(lo <= v <= up for v, lo, up in zip(activity, lower, upper, strict=True)):
            value = sum((Fraction(a) * b for a, b in zip(lp.c, x, strict=True)), Fraction(lp.offset))
            if best is None or (value < best if lp.sense == "min" else value > best):
                best = value
    return best


SMALL = st.integers(-4, 4)
ROUGH = st.one_of(SMALL.map(float), st.floats(-4, 4, allow_subnormal=False), st.sampled_from([0.1, 1 / 3, -0.7, 1e-9, 1e7]))
MILD = st.one_of(SMALL.map(float), st.sampled_from([0.1, 1 / 3, -0.7, 2.5]))
"""Nothing that a solver would drop as noise."""


@st.composite
def tiny_lps(draw, upper_bounds=True, numbers=ROUGH):
    """An LP with a feasible point; with bounds on all columns, or without some of the upper ones."""
    n, m = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    A = np.array(draw(st.lists(numbers, min_size=n * m, max_size=n * m))).reshape(m, n)
    inside = np.array(draw(st.lists(st.integers(0, 2), min_size=n, max_size=n)), dtype=float)
    activity = A @ inside
    below = [draw(st.sampled_from([0.0, 0.5, 3.0, INF])) for _ in range(m)]
    above = [draw(st.sampled_from([0.0, 0.25, INF])) for _ in range(m)]
    slack = 1e-9 * (1.0 + np.abs(A) @ np.abs(inside))
    lower, upper = activity - below - slack, activity + above + slack
    col_upper = inside + np.array([draw(st.sampled_from([0.0, 1.0, 2.5])) for _ in range(n)])
    if not upper_bounds:
        col_upper = np.where([draw(st.booleans()) for _ in range(n)], INF, col_upper)
    c = draw(st.lists(numbers, min_size=n, max_size=n))
    sense = draw(st.sampled_from(["min", "max"]))
    return program(c, A, (lower, upper), (0.0, col_upper), sense=sense, offset=draw(numbers))
