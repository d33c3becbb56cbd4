"""The a-priori bounds of the aggregative papers, each as a function with its terms."""

from __future__ import annotations

from math import log, sqrt
from typing import Literal

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.programs import Box
from eqsolve.aggregative.tolerance import Tolerance, paper_zeta
from eqsolve.arrays import real_number
from eqsolve.certificates import Bound
from eqsolve.errors import unknown

ROUNDINGS = ("best", "nearest")
"""The ways in which a vertex is rounded."""


def sampling_error(game: AggregativeGame, beta: float = 0.05) -> float:
    r"""E with :math:`P(\lVert x(a) - x(p) \rVert_\infty > E) \le \beta` for independent sampling.

    .. math:: E = \delta \sqrt{n \ln(2d/\beta) / 2}

    Source: Hoeffding's inequality; the paper's :math:`O(\sqrt n \delta\, \mathrm{polylog})`.

    Raises
    ------
    InvalidData : beta, a probability of failure, does not lie between 0 and 1.
    """
    return game.delta * sqrt(game.n_players * _log_failure(game, beta) / 2)


def vertex_rounding(game: AggregativeGame, grid: Grid, box: Box, excess: int) -> Bound:
    r"""Nash gap of the rounding of a vertex of a cell's stage program.

    .. math:: \max_i\ \eta_i + \gamma_i (2b + (d + 1) \delta)

    Source: ``docs/aggregative.md``, "Vertex rounding". gamma_i holds around the cell.

    Parameters
    ----------
    excess : sum over types of (actions in use - 1) of the point; the theorem needs at most d, which every vertex has.
    """
    source = "vertex rounding" + ("" if game.payoff.lipschitz_is_computed else " (declared Lipschitz constants)")
    d = game.n_coordinates
    if excess > d:
        return Bound(
            "vertex rounding", None, source, failed=(f"the point has {excess} extra actions in use, a vertex at most d = {d}",)
        )
    total = box.eta + box.gamma * (2 * grid.b + (d + 1) * game.delta)
    worst = int(np.argmax(total))
    gamma = float(box.gamma[worst])
    terms = {"eta": float(box.eta[worst]), "2 b gamma": 2 * grid.b * gamma, "(d+1) delta gamma": (d + 1) * game.delta * gamma}
    return Bound("vertex rounding", float(total[worst]), source, terms)


def paper_bound(
    game: AggregativeGame, grid: Grid, box: Box, tolerance: Tolerance, beta: float = 0.05, *, sampled: bool = False
) -> Bound:
    r"""Theorem C.1 (Cummings et al. 2015, Appendix D), with probability 1 - beta over the sampling.

    .. math:: (\zeta + 4 \alpha + 2 \delta + 2 E) \gamma, \qquad \zeta = \delta \sqrt{8 n \ln(2mn)}

    alpha is the half-width b of a cell, gamma one Lipschitz constant for all players on the whole range, E Hoeffding's.

    Parameters
    ----------
    sampled : whether the profile was sampled, as the theorem has it. The nearest rounding of a vertex lies within d delta / 2
        of it, with certainty, and the best one has no larger gap; the bound holds for both where that is at most E,
        :math:`2 n \ln(2d/\beta) \ge d^2`.

    Raises
    ------
    InvalidData : beta does not lie between 0 and 1.
    """
    gamma = float(game.gamma.max())
    zeta, E = paper_zeta(game), sampling_error(game, beta)
    name = f"paper, with probability {1 - beta:g}"
    allowed = gamma * (zeta + 2 * grid.b + game.delta)
    if float(box.eta.max()) > allowed * (1 + 1e-9):
        failed = (f"the tolerance {tolerance.name} exceeds the paper's, {allowed:.4g}",)
        return Bound(name, None, "Theorem C.1", failed=failed)
    d = game.n_coordinates
    if not sampled and 2 * game.n_players * _log_failure(game, beta) < d**2:
        failed = (f"rounding a vertex may move by d delta / 2 = {d * game.delta / 2:.4g}, more than the sampling error {E:.4g}",)
        return Bound(name, None, "Theorem C.1", failed=failed)
    terms = {
        "zeta gamma": zeta * gamma,
        "4 alpha gamma": 4 * grid.b * gamma,
        "2 delta gamma": 2 * game.delta * gamma,
        "2 E gamma": 2 * E * gamma,
    }
    return Bound(name, sum(terms.values()), "Theorem C.1", terms)


def pure_existence(game: AggregativeGame) -> Bound:
    r"""Every aggregative game has a pure equilibrium with a gap of at most :math:`(d + 1)\, \delta\, \max_i \gamma_i`.

    The limit of the vertex rounding bound at b = 0 with tolerance ``existence``; Shapley-Folkman in disguise.
    """
    value = (game.n_coordinates + 1) * game.delta * float(game.gamma.max())
    return Bound("existence of a pure equilibrium", value, "vertex rounding at b = 0")


def rounding_welfare_loss(game: AggregativeGame, rounding: Literal["nearest", "best"] = "best") -> float:
    r"""How far rounding a vertex can move the welfare: :math:`c\, d \max_i (\max_j w_{ij} - \min_j w_{ij})`.

    c is 1/2 for the nearest rounding; 1 for the best, which may take the other side.

    Raises
    ------
    UnknownName : no such rounding.
    """
    if rounding not in ROUNDINGS:
        raise unknown("rounding", rounding, ROUNDINGS)
    span = game.reduce(np.maximum, game.weights) - game.reduce(np.minimum, game.weights)
    return game.n_coordinates * (0.5 if rounding == "nearest" else 1.0) * float(span.max())


def _log_failure(game: AggregativeGame, beta: float) -> float:
    """ln(2d / beta)."""
    return log(2 * game.n_coordinates) - log(real_number("beta", beta, above=0.0, below=1.0))
