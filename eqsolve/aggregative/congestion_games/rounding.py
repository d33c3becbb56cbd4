"""From path flows to whole vehicles."""

from __future__ import annotations

import numpy as np

from eqsolve.aggregative.congestion_games.actions import gathered
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidGame

WHOLE = 1e-7
"""Distance from a whole number of vehicles below which a flow counts as whole."""


def whole_demand(game: CongestionGame) -> None:
    """Refuse a game whose types are not whole numbers of vehicles.

    Raises
    ------
    InvalidGame : the message names the first type.
    """
    if not game.is_atomic:
        t = int(np.argmax(game.count != np.floor(game.count)))
        raise InvalidGame(
            f"count of {game.type_label(t)} is {game.count[t]:.12g}, and an atomic game has whole vehicles",
            "Round the demand, count in smaller vehicles (more of them, of less weight), or take PathEquilibrium.",
        )


def largest_remainders(game: CongestionGame, flows: PathFlows) -> PathFlows:
    r"""Each type rounded to whole vehicles by largest remainders; paths that nobody drives any more are left out.

    A type with s paths in use changes the load of a resource by at most :math:`w_t \lfloor s^2 / 4 \rfloor / s`: of R places
    rounded up, R (s - R) / s vehicles come from elsewhere. Types on one path do not change.

    Raises
    ------
    InvalidGame : a type is not a whole number of vehicles.
    """
    whole_demand(game)
    down = np.floor(flows.flow + WHOLE)
    missing = np.asarray(game.count, dtype=np.float64) - np.bincount(flows.type_of, weights=down, minlength=game.n_types)
    rest = flows.flow - down
    order = np.lexsort((np.arange(len(rest)), -rest, flows.type_of))
    kinds = flows.type_of[order]
    rank = np.arange(len(order)) - np.searchsorted(kinds, kinds)
    paths = np.bincount(flows.type_of, minlength=game.n_types)
    # More missing than paths happens only where flows add up to less than the count: all get the same, the first get more.
    each, left = np.divmod(np.maximum(missing, 0.0), np.maximum(paths, 1))
    down[order] += each[kinds] + (rank < left[kinds])
    return used_paths(flows, down, atomic=True)


def used_paths(flows: PathFlows, flow: FloatArray, *, atomic: bool) -> PathFlows:
    """The paths of some flows with another flow (P,), those without any left out."""
    keep = np.flatnonzero(flow > 0)
    return PathFlows(flows.type_of[keep], *gathered(flows.indptr, flows.resources, keep), flow[keep], atomic=atomic)


def split_paths(game: CongestionGame, flows: PathFlows) -> tuple[IntArray, int]:
    """(T,) paths in use per type, and the excess: the sum over types of (paths in use - 1)."""
    used = np.bincount(flows.type_of[flows.flow > 0], minlength=game.n_types)
    return used, int(used.sum()) - game.n_types
