"""Programs with known answers, for every backend. Each optimum is a closed form, from a textbook or by brute force."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations, product
from math import e, log, sqrt

import numpy as np
from scipy import sparse

from eqsolve.aggregative import AffinePayoffs, AggregativeGame, AggregativeNash
from eqsolve.backends import Termination
from eqsolve.programs import Cone, Program, Update

OPTIMAL = frozenset({Termination.OPTIMAL})
INFEASIBLE = frozenset({Termination.INFEASIBLE, Termination.INFEASIBLE_OR_UNBOUNDED})
UNBOUNDED = frozenset({Termination.UNBOUNDED, Termination.INFEASIBLE_OR_UNBOUNDED})
INF = np.inf


@dataclass(frozen=True)
class Case:
    """A program, its optimum (None without one), how a solver may end, and where the answer comes from.

    ``unique_duals`` says that the optimal value is differentiable in the right-hand sides, so that the duals are unique.
    """

    name: str
    program: Program
    optimum: float | None
    source: str
    termination: frozenset[Termination] = OPTIMAL
    unique_duals: bool = False
    features: frozenset[str] = frozenset()


def program(name, c, A, rows, columns=(0.0, INF), *, sense="min", Q=None, offset=0.0, integer=None, cones=()):
    """A program from dense data; ``rows`` and ``columns`` are (lower, upper), each a scalar or a list."""
    c = np.asarray(c, dtype=float)
    A = sparse.csc_array(np.asarray(A, dtype=float).reshape(-1, len(c)))
    lower, upper = (np.broadcast_to(np.asarray(one, dtype=float), A.shape[0]).copy() for one in rows)
    col_lower, col_upper = (np.broadcast_to(np.asarray(one, dtype=float), len(c)).copy() for one in columns)
    quadratic = None if Q is None else sparse.csc_array(np.asarray(Q, dtype=float))
    whole = None if integer is None else np.broadcast_to(np.asarray(integer, dtype=bool), len(c)).copy()
    return Program(
        name, sense, c, A, lower, upper, col_lower, col_upper, Q=quadratic, offset=offset, integrality=whole, cones=tuple(cones)
    )


def cone(kind, rows, shift=None):
    rows = np.asarray(rows, dtype=np.int64)
    return Cone(kind, rows, np.zeros(len(rows)) if shift is None else np.asarray(shift, dtype=float))


def linear():
    wyndor = [[1, 0], [0, 2], [3, 2]]
    yield Case(
        "production",
        program("production", [3, 5], wyndor, (-INF, [4, 12, 18]), sense="max"),
        36.0,
        "Hillier and Lieberman, Wyndor Glass: x = (2, 6), prices (0, 3/2, 1)",
        unique_duals=True,
    )
    yield Case(
        "production dual",
        program("production dual", [4, 12, 18], np.transpose(wyndor), ([3, 5], INF)),
        36.0,
        "strong duality with `production`; prices (2, 6)",
        unique_duals=True,
    )
    yield Case(
        "offset",
        program("offset", [3, 5], wyndor, (-INF, [4, 12, 18]), sense="max", offset=-100.5),
        -64.5,
        "`production` shifted by the constant",
        unique_duals=True,
    )
    yield Case(
        "ranged rows",
        program("ranged rows", [1, 2], [[1, 1], [1, -1]], ([2, -1], [8, 1])),
        2.5,
        "x + y = 2 at its lower and x - y = 1 at its upper bound; prices (3/2, -1/2)",
        unique_duals=True,
        features=frozenset({"ranged rows"}),
    )
    yield Case(
        "degenerate",
        program("degenerate", [2, 1], [[1, 1], [1, 0], [0, 1], [1, 2]], (-INF, [2, 1, 1, 3]), sense="max"),
        3.0,
        "four rows through the vertex (1, 1): 2 + 1, and 2x + y = x + (x + y) <= 1 + 2",
        features=frozenset({"degenerate"}),
    )
    yield Case(
        "beale cycling",
        program(
            "beale cycling",
            [-0.75, 150, -0.02, 6],
            [[0.25, -60, -0.04, 9], [0.5, -90, -0.02, 3], [0, 0, 1, 0]],
            (-INF, [0, 0, 1]),
        ),
        -0.05,
        "Beale 1955, the cycling example: x = (1/25, 0, 1, 0)",
        features=frozenset({"degenerate"}),
    )
    yield Case(
        "many optima",
        program("many optima", [1, 1], [[1, 1]], (-INF, 1), sense="max"),
        1.0,
        "the objective is the row itself",
        unique_duals=True,
        features=frozenset({"many optima"}),
    )
    yield Case(
        "free columns",
        program("free columns", [1, 1], [[1, 2], [3, 1]], ([4, 7], INF), (-INF, INF)),
        3.0,
        "both rows tight: x = (2, 1); prices y solve y1 + 3 y2 = 1, 2 y1 + y2 = 1: (2/5, 1/5)",
        unique_duals=True,
        features=frozenset({"free columns"}),
    )
    yield Case(
        "empty row",
        program("empty row", [1, 1], [[1, 1], [0, 0]], ([2, -1], [INF, 1])),
        2.0,
        "the empty row holds for every x",
        unique_duals=True,
        features=frozenset({"empty row"}),
    )
    yield Case(
        "empty column",
        program("empty column", [1, -2, 1], [[1, 0, 1]], (2, INF), (0, [INF, 3, INF])),
        -4.0,
        "2 for the row, -2 * 3 for the column in no row",
        unique_duals=True,
        features=frozenset({"empty column"}),
    )
    yield Case(
        "fixed columns",
        program("fixed columns", [1, 3, 2, 5], [[1, 1, 1, 1]], (5, INF), ([0, 2, 0, 0], [1, 2, INF, 0])),
        11.0,
        "1 + 3 * 2 + 2 * 2 with the second fixed at 2 and the fourth at 0",
        unique_duals=True,
        features=frozenset({"fixed columns"}),
    )
    yield Case(
        "negative upper bounds",
        program("negative upper bounds", [-1, 2], [[1, 1]], (-7, INF), ([-5, -10], [-1, -2])),
        -11.0,
        "x at its upper bound -1, so y >= -6: 1 - 12",
        unique_duals=True,
    )
    yield Case(
        "zero objective",
        program("zero objective", [0, 0], [[1, 1], [1, -1]], (1, [3, 1])),
        0.0,
        "any feasible point",
    )
    yield Case(
        "no rows",
        program("no rows", [1, -1, 0], np.zeros((0, 3)), (0, 0), ([-2, 0, 1], [5, 4, 1])),
        -6.0,
        "each column at its cheaper bound: -2 - 4",
        features=frozenset({"no rows"}),
    )
    yield Case(
        "equalities only",
        program("equalities only", [1, 2, 3], [[1, 1, 1], [1, -1, 0], [0, 1, 2]], ([6, 0, 9], [6, 0, 9]), (-INF, INF)),
        15.0,
        "the only point is (1, 1, 4)",
        unique_duals=True,
        features=frozenset({"free columns"}),
    )
    scale = np.array([1e4, 1e-3])
    yield Case(
        "badly scaled",
        program("badly scaled", np.array([3, 5]) * scale, np.array(wyndor) * scale, (-INF, [4, 12, 18]), sense="max"),
        36.0,
        "`production` with its columns measured in units of 1e-4 and 1e3",
        unique_duals=True,
        features=frozenset({"scale"}),
    )
    yield Case(
        "large flow",
        program("large flow", [1, 1, 2], [[1, -1, -1], [0, 3, 0], [0, 0, 7]], ([0, 1e6, 1e7], [0, INF, INF])),
        2 * 1e6 / 3 + 3 * 1e7 / 7,
        "a balance of numbers with no short decimal form: (1e6/3 + 1e7/7, 1e6/3, 1e7/7); prices (1, 2/3, 3/7)",
        unique_duals=True,
        features=frozenset({"scale"}),
    )
    supply, demand = [20.0, 30.0], [10.0, 25.0, 15.0]
    cost = np.array([[2, 4, 5], [3, 1, 7.0]])
    A = np.vstack([np.kron(np.eye(2), np.ones(3)), np.kron(np.ones(2), np.eye(3))])
    yield Case(
        "transport",
        program("transport", cost.ravel(), A, ([-INF, -INF, *demand], [*supply, INF, INF, INF])),
        transport_optimum(cost, supply, demand),
        "brute force over whole shipments, which hold an optimum (total unimodularity)",
        features=frozenset({"degenerate"}),
    )
    pay = np.array([[9, 2, 7, 8], [6, 4, 3, 7], [5, 8, 1, 8], [7, 6, 9, 4.0]])
    A = np.vstack([np.kron(np.eye(4), np.ones(4)), np.kron(np.ones(4), np.eye(4))])
    yield Case(
        "assignment",
        program("assignment", pay.ravel(), A, (1, 1), (0, 1)),
        float(min(sum(pay[i, p[i]] for i in range(4)) for p in permutations(range(4)))),
        "all 24 permutations",
        features=frozenset({"degenerate"}),
    )
    yield Case(
        "matrix game",
        program(
            "matrix game",
            [0, 0, 0, 1],
            [[0, 1, -1, -1], [-1, 0, 1, -1], [1, -1, 0, -1], [1, 1, 1, 0]],
            ([0, 0, 0, 1], [INF, INF, INF, 1]),
            ([0, 0, 0, -INF], INF),
            sense="max",
        ),
        0.0,
        "rock, paper, scissors: value 0 at (1/3, 1/3, 1/3)",
        unique_duals=True,
    )
    yield stage_program()


def transport_optimum(cost, supply, demand):
    """Cheapest whole shipments by enumeration in steps of 5, the common divisor of all supplies and demands."""
    best = INF
    for first in product(*(range(0, int(need) + 1, 5) for need in demand)):
        second = [need - one for one, need in zip(first, demand, strict=True)]
        if sum(first) <= supply[0] and sum(second) <= supply[1]:
            best = min(best, float(cost[0] @ first + cost[1] @ second))
    return best


def stage_program(players=8):
    """One simplex row for each player and one ranged row that couples them, as the stage programs of aggregative games have."""
    worth, load = np.array([5.0, 4.0, 1.0]), np.array([1.0, 0.5, 0.0])
    low, high = 0.3 * players, 0.62 * players
    A = np.vstack([np.kron(np.eye(players), np.ones(3)), np.tile(load, players)])
    mixes = [np.eye(3)[j] for j in range(3)]
    for j, k in ((0, 1), (0, 2), (1, 2)):
        for target in (low / players, high / players):
            share = (target - load[k]) / (load[j] - load[k])
            if 0 <= share <= 1:
                mixes.append(share * np.eye(3)[j] + (1 - share) * np.eye(3)[k])
    allowed = [mix for mix in mixes if low - 1e-9 <= players * (load @ mix) <= high + 1e-9]
    return Case(
        "stage",
        program("stage", np.tile(worth, players), A, ([1.0] * players + [low], [1.0] * players + [high]), (0, 1), sense="max"),
        float(max(players * (worth @ mix) for mix in allowed)),
        "the players are alike, so the mean mixture solves a program in three columns; all its vertices",
        unique_duals=True,
        features=frozenset({"ranged rows"}),
    )


def without_optimum():
    """Programs that have none; a solver may leave open which of the two it is."""
    three = [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
    circle = cone("soc", [0, 1, 2], [1, 0, 0])
    table = {
        "infeasible rows": (program("infeasible rows", [1, 1], [[1, 1], [1, 1]], ([3, -INF], [INF, 2])), INFEASIBLE),
        "infeasible bounds": (program("infeasible bounds", [1, 1], [[1, 1]], (5, INF), (0, [2, 2])), INFEASIBLE),
        "infeasible chain": (
            program("infeasible chain", [0, 0, 0], three, ([1, 1, 1], [1, 1, 1]), (0, [1, 1, 0.25])),
            INFEASIBLE,
        ),
        "infeasible empty row": (program("infeasible empty row", [1], [[1], [0]], ([0, 1], [5, 2])), INFEASIBLE),
        "infeasible for max": (program("infeasible for max", [1, 2], [[1, -1], [-1, 1]], (1, INF), sense="max"), INFEASIBLE),
        "unbounded": (program("unbounded", [1, 1], [[1, -1]], (-INF, 1), sense="max"), UNBOUNDED),
        "unbounded free": (program("unbounded free", [1, 0], [[1, 1]], (2, 2), (-INF, INF)), UNBOUNDED),
        "unbounded column": (program("unbounded column", [1, -1], [[1, 0]], (1, INF)), UNBOUNDED),
        "integer infeasible": (
            program("integer infeasible", [1, 1], [[2, 2], [1, -1]], ([3, -9], [3, 9]), (0, 10), integer=True),
            INFEASIBLE,
        ),
        "integer gap": (program("integer gap", [1], [[3]], (1, 2), (0, 5), integer=True), INFEASIBLE),
        "integer unbounded": (program("integer unbounded", [-1, 0], [[1, -1]], (-INF, 1), integer=True), UNBOUNDED),
        "QP infeasible": (program("QP infeasible", [1, 1], [[1, 1]], (3, INF), (0, 1), Q=np.eye(2)), INFEASIBLE),
        "QP unbounded": (program("QP unbounded", [0, -1], [[1, -1]], (-INF, 1), Q=[[1, 0], [0, 0]]), UNBOUNDED),
        "SOCP infeasible": (
            program(
                "SOCP infeasible", [1, 1], [[0, 0], [1, 0], [0, 1], [1, 1]], ([-INF] * 3 + [2], INF), (-INF, INF), cones=[circle]
            ),
            INFEASIBLE,
        ),
        "SOCP unbounded": (
            program("SOCP unbounded", [1, 0], [[1, 0], [0, 1]], (-INF, INF), (-INF, INF), sense="max", cones=[cone("soc", [0, 1])]),
            UNBOUNDED,
        ),
        "EXP infeasible": (
            program(
                "EXP infeasible",
                [0, 1],
                [[1, 0], [0, 0], [0, 1]],
                (-INF, INF),
                ([1, -INF], [INF, 2]),
                cones=[cone("exp", [0, 1, 2], [0, 1, 0])],
            ),
            INFEASIBLE,
        ),
        "EXP unbounded": (
            program(
                "EXP unbounded",
                [0, 1],
                [[1, 0], [0, 0], [0, 1]],
                (-INF, INF),
                (-INF, INF),
                sense="max",
                cones=[cone("exp", [0, 1, 2], [0, 1, 0])],
            ),
            UNBOUNDED,
        ),
    }
    for name, (one, termination) in table.items():
        yield Case(name, one, None, "by construction", termination)


def integer_programs():
    weight, value = np.array([12, 7, 11, 8, 9, 6]), np.array([24.0, 13, 23, 15, 16, 11])
    picks = np.array(list(product((0, 1), repeat=6)))
    yield Case(
        "knapsack",
        program("knapsack", value, [weight], (-INF, 26), (0, 1), sense="max", integer=True),
        float((picks @ value)[picks @ weight <= 26].max()),
        "all 64 subsets",
    )
    cover = np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 0, 0, 1, 0]])
    price = np.array([3.0, 2, 4, 2, 4])
    picks = np.array(list(product((0, 1), repeat=5)))
    yield Case(
        "set cover",
        program("set cover", price, cover, (1, INF), (0, 1), integer=True),
        float((picks @ price)[(picks @ cover.T >= 1).all(axis=1)].min()),
        "all 32 subsets",
    )
    yield Case(
        "integers below zero",
        program("integers below zero", [1, 1], [[2, 3]], (-7.5, INF), (-3, [2, 2]), integer=True, offset=0.5),
        min(x + y for x, y in product(range(-3, 3), repeat=2) if 2 * x + 3 * y >= -7.5) + 0.5,
        "all 36 points",
    )
    yield Case(
        "fixed charge",
        program(
            "fixed charge",
            [2, 3, 20, 12],
            [[1, 1, 0, 0], [1, 0, -10, 0], [0, 1, 0, -8]],
            ([7.5, -INF, -INF], [INF, 0, 0]),
            (0, [INF, INF, 1, 1]),
            integer=[False, False, True, True],
        ),
        min(20 + 2 * 7.5, 12 + 3 * 7.5, 32 + 2 * 7.5),
        "open the first, the second or both, and ship from the cheapest that is open",
    )


def quadratic():
    target = np.array([1.5, -0.5, 0.3])
    yield Case(
        "box QP",
        program("box QP", -target, np.zeros((0, 3)), (0, 0), (0, 1), Q=np.eye(3), offset=float(target @ target) / 2),
        0.5 * (0.5**2 + 0.5**2),
        "projection onto the box: half the squared distance of (1.5, -0.5, 0.3) to (1, 0, 0.3)",
        features=frozenset({"no rows"}),
    )
    yield Case(
        "equality QP",
        program("equality QP", [0, 0, 0], [[1, 1, 1]], (3, 3), (-INF, INF), Q=np.diag([2.0, 2, 2])),
        3.0,
        "least squares sum of three numbers that add to 3; price 2",
        unique_duals=True,
    )
    yield Case(
        "singular QP",
        program(
            "singular QP", [0, -1, 0], [[1, 1, 0], [0, 1, 1]], ([1, -INF], [1, 2]), (0, 4), Q=[[2, 0, 0], [0, 2, 2], [0, 2, 2]]
        ),
        singular_qp(),
        "x = 1 - y; y + z = s between y and 2 has s = y, z = 0; then minimise (1 - y)^2 + y^2 - y at y = 3/4",
        unique_duals=True,
        features=frozenset({"singular Q"}),
    )
    yield Case(
        "concave QP",
        program("concave QP", [4, 6], [[1, 1]], (-INF, 3), sense="max", Q=[[-2, 0], [0, -2]], offset=1.0),
        1.0 + 4 * 1 + 6 * 2 - 1 - 4,
        "maximise 4x - x^2 + 6y - y^2 with x + y <= 3: gradients 4 - 2x = 6 - 2y = 2 at (1, 2)",
        unique_duals=True,
    )
    point = np.array([0.9, 0.6, -0.2])
    answer = np.array([0.65, 0.35, 0.0])
    yield Case(
        "simplex QP",
        program("simplex QP", -point, [[1, 1, 1]], (1, 1), Q=np.eye(3)),
        float(answer @ answer / 2 - point @ answer),
        "projection onto the simplex: subtract 1/4 from (0.9, 0.6, -0.2) and cut at 0",
        unique_duals=True,
    )
    yield Case(
        "ranged QP",
        program("ranged QP", [-8, -6], [[1, 1], [1, -1]], ([0, -1], [5, 0.5]), (-INF, INF), Q=[[2, 0], [0, 2]]),
        (2.75**2 - 8 * 2.75) + (2.25**2 - 6 * 2.25),
        "least distance to (4, 3) with x + y <= 5 and x - y <= 1/2, both tight at (2.75, 2.25)",
        unique_duals=True,
        features=frozenset({"ranged rows"}),
    )
    yield Case(
        "nearest whole point",
        program("nearest whole point", [-3.2, 2.6], [[1, 1]], (-INF, 0), (-5, 5), Q=[[2, 0], [0, 2]], integer=True),
        min(x * x - 3.2 * x + y * y + 2.6 * y for x, y in product(range(-5, 6), repeat=2) if x + y <= 0),
        "all 121 points",
    )


def singular_qp():
    y = 0.75
    return (1 - y) ** 2 + y**2 - y


def conic():
    nu, q, radius = np.array([0.2, 0.3, 0.5]), np.array([1.0, 2.0, 3.0]), 0.1
    mean, deviation = float(nu @ q), sqrt(float(nu @ q**2) - float(nu @ q) ** 2)
    ball = np.vstack([np.zeros(3), np.diag(1 / np.sqrt(nu)), np.ones(3)])
    yield Case(
        "chi-square ball",
        program(
            "chi-square ball",
            q,
            ball,
            ([-INF] * 4 + [1], [INF] * 4 + [1]),
            sense="max",
            cones=[cone("soc", [0, 1, 2, 3], [sqrt(1 + radius), 0, 0, 0])],
        ),
        mean + sqrt(radius) * deviation,
        "Cauchy-Schwarz: mean + sqrt(C) * standard deviation while no probability reaches 0",
        unique_duals=True,
    )
    yield Case(
        "distance",
        program(
            "distance",
            [1, 0, 0],
            [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 3, 4]],
            ([-INF] * 3 + [25], INF),
            (-INF, INF),
            cones=[cone("soc", [0, 1, 2], [0, -1, -2])],
        ),
        (25 - 11) / 5,
        "distance of (1, 2) to the half-plane 3x + 4y >= 25",
        unique_duals=True,
    )
    yield Case(
        "hyperbola",
        program(
            "hyperbola",
            [1, 4],
            [[1, 0], [0, 1], [0, 0]],
            (-INF, INF),
            (-INF, INF),
            cones=[cone("rsoc", [0, 1, 2], [0, 0, sqrt(2)])],
        ),
        4.0,
        "minimise x + 4y with xy >= 1: at (2, 1/2)",
        unique_duals=True,
    )
    yield Case(
        "geometric mean",
        program(
            "geometric mean",
            [0, 0, 1],
            [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 2, 0]],
            (-INF, [INF] * 3 + [6]),
            (-INF, INF),
            sense="max",
            cones=[cone("rsoc", [0, 1, 2])],
        ),
        3.0,
        "z^2 = 2xy with x + 2y = 6: at (3, 3/2)",
        unique_duals=True,
    )
    yield Case(
        "QP in a ball",
        program(
            "QP in a ball",
            [-6, -8],
            [[0, 0], [1, 0], [0, 1]],
            (-INF, INF),
            (-INF, INF),
            Q=[[2, 0], [0, 2]],
            cones=[cone("soc", [0, 1, 2], [2, 0, 0])],
        ),
        (5.0 - 2.0) ** 2 - 25.0,
        "squared distance of (3, 4) to the disc of radius 2, less 25",
        unique_duals=True,
    )
    yield Case(
        "whole points in a ball",
        program(
            "whole points in a ball",
            [1, 2],
            [[0, 0], [1, 0], [0, 1]],
            (-INF, INF),
            (-5, 5),
            sense="max",
            integer=True,
            cones=[cone("soc", [0, 1, 2], [2.9, 0, 0])],
        ),
        float(max(x + 2 * y for x, y in product(range(-5, 6), repeat=2) if x * x + y * y <= 2.9**2)),
        "all 121 points",
    )


def entropy_rows(n):
    """Columns (p, t); for each entry the cone t_i <= -p_i log p_i, that is p_i exp(t_i / p_i) <= 1, with its three rows."""
    A = np.zeros((3 * n, 2 * n))
    for i in range(n):
        A[3 * i, n + i] = A[3 * i + 1, i] = 1.0
    return A, [cone("exp", [3 * i, 3 * i + 1, 3 * i + 2], [0, 0, 1]) for i in range(n)]


def exponential():
    cones_A, cones = entropy_rows(3)
    simplex = np.concatenate([np.ones(3), np.zeros(3)])
    free = ([0, 0, 0, -INF, -INF, -INF], INF)
    none = [INF] * 9
    yield Case(
        "entropy",
        program(
            "entropy",
            [0, 0, 0, 1, 1, 1],
            np.vstack([cones_A, simplex]),
            ([-INF] * 9 + [1], [*none, 1]),
            free,
            sense="max",
            cones=cones,
        ),
        log(3),
        "the uniform distribution",
        unique_duals=True,
    )
    q = [1.0, 0.5, -0.25]
    yield Case(
        "soft best response",
        program(
            "soft best response",
            [*q, 0.5, 0.5, 0.5],
            np.vstack([cones_A, simplex]),
            ([-INF] * 9 + [1], [*none, 1]),
            free,
            sense="max",
            cones=cones,
        ),
        0.5 * log(float(np.exp(np.array(q) / 0.5).sum())),
        "entropy with temperature 1/2: the scaled log-sum-exp",
        unique_duals=True,
    )
    yield Case(
        "entropy with a cap",
        program(
            "entropy with a cap",
            [0, 0, 0, 1, 1, 1],
            np.vstack([cones_A, simplex, [1, 0, 0, 0, 0, 0]]),
            ([-INF] * 9 + [1, -INF], [*none, 1, 0.2]),
            free,
            sense="max",
            cones=cones,
        ),
        -0.2 * log(0.2) - 0.8 * log(0.4),
        "0.2 for the first, the rest shared",
        unique_duals=True,
    )
    yield Case(
        "log-sum-exp",
        program(
            "log-sum-exp",
            [1, 0, 0],
            [[-1, 0, 0], [0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1]],
            ([-INF] * 7, [INF] * 6 + [1]),
            (-INF, INF),
            cones=[cone("exp", [0, 1, 2], [1, 1, 0]), cone("exp", [3, 4, 5], [2, 1, 0])],
        ),
        log(e + e**2),
        "the least t with exp(1 - t) + exp(2 - t) <= 1",
        unique_duals=True,
    )
    yield Case(
        "tangent",
        program("tangent", [-2, 1], [[1, 0], [0, 0], [0, 1]], (-INF, INF), (-INF, INF), cones=[cone("exp", [0, 1, 2], [0, 1, 0])]),
        2 - 2 * log(2),
        "exp(x) - 2x is least at x = log 2",
        unique_duals=True,
    )


def best_vertex(one):
    """Best objective over all vertices of a linear program with a bounded feasible set; None where there is none."""
    A, n = one.A.toarray(), one.n_columns
    equal = one.row_lower == one.row_upper
    sides = [(A[i], bound) for i in np.flatnonzero(~equal) for bound in (one.row_lower[i], one.row_upper[i])]
    sides += [(np.eye(n)[j], bound) for j in range(n) for bound in {one.col_lower[j], one.col_upper[j]}]
    best = -INF
    for chosen in combinations([side for side in sides if np.isfinite(side[1])], n - int(equal.sum())):
        system = np.vstack([A[equal], *(row[None, :] for row, _ in chosen)])
        if abs(np.linalg.det(system)) < 1e-9:
            continue
        x = np.linalg.solve(system, np.concatenate([one.row_lower[equal], [bound for _, bound in chosen]]))
        inside = (A @ x >= one.row_lower - 1e-9) & (A @ x <= one.row_upper + 1e-9)
        if inside.all() and (x >= one.col_lower - 1e-9).all() and (x <= one.col_upper + 1e-9).all():
            best = max(best, one.objective(x) * (1 if one.sense == "max" else -1))
    return None if best == -INF else best * (1 if one.sense == "max" else -1)


def small_game(n_actions, contribution, welfare, count, slope):
    """Payoffs that fall with one's own load, so that far from the balance few actions are best responses."""
    contribution = np.asarray(contribution, dtype=float)
    intercept = np.linspace(0.6, 0.4, len(contribution))
    return AggregativeGame(
        n_actions=np.array(n_actions),
        contribution=contribution,
        payoff=AffinePayoffs(intercept, slope * contribution),
        welfare=np.asarray(welfare, dtype=float),
        count=np.array(count),
    )


def structured():
    """Stage programs of small games, which carry the structure that `native` solves."""
    line = small_game([2, 3, 2], [[0.3], [0.1], [0.4], [0.2], [0.05], [0.25], [0.0]], [3, 1, 5, 4, 1, 2, 1.5], [1, 1, 1], 1.0)
    plane = small_game(
        [3, 3], [[0.2, 0.0], [0.0, 0.1], [0.05, 0.05], [0.1, 0.15], [0.0, 0.2], [0.02, 0.0]], [4, 2, 1, 5, 3, 0.5], [3, 2], 1.0
    )
    for name, game, tolerance, cells, cell in (
        ("stage on a line", line, 1.0, 5, 2),
        ("stage in the plane", plane, 0.15, (4, 4), 1),
        ("infeasible stage on a line", line, 0.05, 5, 0),
        ("infeasible stage in the plane", plane, 0.15, (4, 4), 9),
    ):
        stage = AggregativeNash(tolerance, cells=cells).family(game)[cell]
        # Bounds that follow from the choice rows would leave the prices of these rows open.
        stage = stage.with_values(Update(col_upper=2 * stage.col_upper))
        optimum = best_vertex(stage)
        yield Case(
            name,
            stage,
            optimum,
            "all vertices",
            INFEASIBLE if optimum is None else OPTIMAL,
            unique_duals=optimum is not None,
            features=frozenset({"structure", "ranged rows"}),
        )


CASES = (*linear(), *structured(), *integer_programs(), *quadratic(), *conic(), *exponential(), *without_optimum())
