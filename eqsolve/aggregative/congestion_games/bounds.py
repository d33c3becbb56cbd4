"""What theorems promise of rounded flows, before the rounding and after it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.rounding import split_paths
from eqsolve.arrays import FloatArray, float_array, real_number
from eqsolve.certificates import Bound

FALLING = "a cost falls with its flow"
SAMPLED = "slopes of costs given by functions that are not said to be convex are known from samples only"


def rounding_exists(game: CongestionGame) -> Bound:
    r"""Every atomic game has whole flows with a Nash gap of at most :math:`\tfrac{R}{2} \max_t w_t \sum_r L_r`.

    L_r is a Lipschitz constant of c_r between no flow and all the demand. A Wardrop equilibrium moved to a vertex and rounded is
    such a profile; see ``vertex_rounding``, which knows the flows and promises much less.
    """
    name, source = "existence", "vertex rounding of a Wardrop equilibrium"
    if not game.costs.is_nondecreasing:
        return Bound(name, None, source, failed=(FALLING,))
    if not game.costs.is_convex and game.costs.breakpoints() is None:
        return Bound(name, None, source, failed=(SAMPLED,))
    most = game.n_coordinates * float(game.weight.max()) / 2
    lipschitz = game.costs.steepest(np.full(game.n_coordinates, float(game.demand.sum())))
    return Bound(name, float(most * lipschitz.sum()), source, {"R w / 2": most, "sum of L": float(lipschitz.sum())})


def load_reach(game: CongestionGame, flows: PathFlows) -> FloatArray:
    r"""(R,) by how much largest remainders can change each load, at most.

    A type with s paths in use moves at most :math:`\lfloor s^2 / 4 \rfloor / s` vehicles; it matters to the resources that some of
    its paths use and others do not.
    """
    used, _ = split_paths(game, flows)
    owner = np.repeat(flows.type_of, np.diff(flows.indptr))
    inside = np.repeat(flows.flow > 0, np.diff(flows.indptr))
    pairs, times = np.unique(owner[inside] * game.n_coordinates + flows.resources[inside], return_counts=True)
    kinds, resource = np.divmod(pairs, game.n_coordinates)
    s = used[kinds]
    moved = np.where(times < s, (s * s // 4) / np.maximum(s, 1) * game.weight[kinds], 0.0)
    return np.asarray(np.bincount(resource, weights=moved, minlength=game.n_coordinates), dtype=np.float64)


def vertex_rounding(game: CongestionGame, flows: PathFlows, regret: float) -> Bound:
    r"""Nash gap of the largest-remainder rounding of fractional flows at a vertex.

    .. math:: \epsilon + \sum_r \max\{c_r(x_r + D_r) - c_r(x_r),\ c_r(x_r) - c_r(x_r - D_r)\}

    with D_r the most that rounding changes the load (``load_reach``), and loads between none and all the demand. *Proof.* Let y be
    the rounded loads, and p, q the paths driven and turned to. As costs do not fall, a deviation gains at most
    :math:`\sum_{p \setminus q} c_r(y_r) - \sum_{q \setminus p} c_r(y_r)`; each resource is counted once, and at the fractional
    loads x the same is at most the regret.

    Parameters
    ----------
    flows : the fractional flows. regret : epsilon, the largest excess of a used path over the cheapest at x.
    """
    name, source = "vertex rounding", "largest remainders at a vertex"
    epsilon = max(real_number("regret", regret), 0.0)
    failed = [] if game.costs.is_nondecreasing else [FALLING]
    excess = split_paths(game, flows)[1]
    if excess > game.n_coordinates:
        failed.append(f"the flows have {excess} extra paths in use, a vertex at most R = {game.n_coordinates}")
    if failed:
        return Bound(name, None, source, failed=tuple(failed))
    x, reach = game.aggregator(flows), load_reach(game, flows)
    now = game.costs.cost(x)
    up = game.costs.cost(np.minimum(x + reach, max(float(game.demand.sum()), float(x.max())))) - now
    down = now - game.costs.cost(np.maximum(x - reach, 0.0))
    change = float(np.maximum(up, down).sum())
    return Bound(name, epsilon + change, source, {"regret": epsilon, "change of costs": change})


def measured_rounding(game: CongestionGame, flows: PathFlows, rounded: PathFlows, regret: float) -> Bound:
    r"""Nash gap of whole flows from the change of loads that their rounding has made.

    .. math:: \epsilon + \sum_r |c_r(y_r) - c_r(x_r)|

    The proof is that of ``vertex_rounding``; the paths in use are among those of the fractional flows.

    Parameters
    ----------
    flows, rounded : before and after. regret : epsilon of the fractional flows.
    """
    name, source = "rounding, measured", "the change of costs by rounding"
    epsilon = max(real_number("regret", regret), 0.0)
    failed = [] if game.costs.is_nondecreasing else [FALLING]
    new = _used(rounded) - _used(flows)
    if new:
        failed.append(f"{len(new)} paths are in use that were not before the rounding")
    if failed:
        return Bound(name, None, source, failed=tuple(failed))
    change = np.abs(game.costs.cost(game.aggregator(rounded)) - game.costs.cost(game.aggregator(flows))).sum()
    return Bound(name, epsilon + float(change), source, {"regret": epsilon, "change of costs": float(change)})


def selection_loss(game: CongestionGame, flows: PathFlows, objective: npt.ArrayLike) -> Bound:
    r"""How far rounding can move a linear objective :math:`\sum_r g_r x_r`, such as emissions or distance.

    .. math:: \sum_t w_t \frac{\lfloor s_t^2 / 4 \rfloor}{s_t} \bigl(\max_{p \in t} g_p - \min_{p \in t} g_p\bigr)

    over the s_t paths in use of each type: few types are split at a vertex. The best of the approximate equilibria by a linear
    program is so rounded to whole flows that are worse by no more.

    Parameters
    ----------
    objective : (R,) g, per unit of load.

    Raises
    ------
    InvalidData : another length.
    """
    g = float_array("objective", objective, (game.n_coordinates,))
    used, excess = split_paths(game, flows)
    live = flows.flow > 0
    worth = flows.path_costs(g)[live]
    high, low = np.full(game.n_types, -np.inf), np.full(game.n_types, np.inf)
    np.maximum.at(high, flows.type_of[live], worth)
    np.minimum.at(low, flows.type_of[live], worth)
    loss = game.weight * (used * used // 4) / np.maximum(used, 1) * np.where(used > 1, high - low, 0.0)
    terms = {"split types": float((used > 1).sum()), "extra paths": float(excess)}
    return Bound("selection", float(loss.sum()), "largest remainders", terms)


def _used(flows: PathFlows) -> set[tuple[int, frozenset[int]]]:
    """Types and resources of the paths in use."""
    return {(int(flows.type_of[p]), frozenset(flows.path(p).tolist())) for p in np.flatnonzero(flows.flow > 0).tolist()}
