r"""Mixed equilibria of the mean-field version of a game: every action in use is a best response to the aggregator itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.purify import purified
from eqsolve.aggregative.rounding import support_excess
from eqsolve.arrays import FloatArray
from eqsolve.certificates import Bound

SHORTFALLS = (0.0, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""Shortfalls, relative to the payoffs, up to which the actions of a nearly optimal mix are taken for best responses."""


@dataclass(frozen=True, slots=True, eq=False)
class MixedEquilibrium:
    """A mix with few fractional types, and how far its actions are from best responses.

    Parameters
    ----------
    p : (N,) players per column, a vertex of the mixes with this aggregator and this support.
    x : (d,) its aggregator. eta : (T,) by how much an action in use falls short of the best one at x, at most.
    """

    p: FloatArray
    x: FloatArray
    eta: FloatArray

    @property
    def error(self) -> float:
        """The largest shortfall."""
        return float(self.eta.max())


def shortfalls(game: AggregativeGame, x: FloatArray) -> FloatArray:
    """(N,) by how much each column's payoff at an aggregator falls short of the best one of its type."""
    u = game.payoff.batch(x[None, :])[0]
    return np.asarray(game.reduce(np.maximum, u)[game.owner] - u)


def mixed_equilibrium(game: AggregativeGame, q: FloatArray) -> MixedEquilibrium:
    """The nearest equilibrium to a nearly optimal mix (N,), moved to a vertex.

    Actions that fall short by more than a threshold leave the mix, the others take their place in proportion; of several
    thresholds the one that leaves the least shortfall is taken. Then the mix moves to a vertex of those with the same
    aggregator and no other actions: at most d extra actions are left in use (``docs/aggregative.md``, "Beyond the grid").
    """
    need = game.players[game.owner].astype(np.float64)
    q = np.clip(q, 0.0, need)
    short = shortfalls(game, q @ game.contribution)
    size = float(np.abs(game.payoff.batch((q @ game.contribution)[None, :])).max()) or 1.0
    best: tuple[float, FloatArray] | None = None
    for threshold in SHORTFALLS:
        kept = np.where(short <= threshold * size, q, 0.0)
        empty = game.reduce(np.add, kept) <= 0.0
        if empty.any():
            kept = np.where(empty[game.owner] & (short <= 0.0), 1.0, kept)
        kept = kept / game.reduce(np.add, kept)[game.owner] * need
        kept[kept <= 1e-11 * need] = 0.0
        left = float(shortfalls(game, kept @ game.contribution)[kept > 0].max())
        if best is None or left < best[0]:
            best = (left, kept)
        if left == 0.0:
            break
    assert best is not None
    x = best[1] @ game.contribution
    zero = np.zeros(game.n_columns)
    p = purified(game.offsets, game.players.astype(np.float64), game.contribution, x, x, zero, best[1])
    x = p @ game.contribution
    eta = game.reduce(np.maximum, np.where(p > 0, shortfalls(game, x), 0.0))
    return MixedEquilibrium(p, x, eta)


def rounding_bound(game: AggregativeGame, mixed: MixedEquilibrium) -> Bound:
    r"""Nash gap of the rounding of a mixed equilibrium of the mean-field version.

    .. math:: \max_t\ \eta_t + \gamma_t (d + 1) \delta

    Source: ``docs/aggregative.md``, "Beyond the grid". gamma_t holds within d delta / 2 + delta of the equilibrium.
    """
    d = game.n_coordinates
    source = "vertex rounding at b = 0" + ("" if game.payoff.lipschitz_is_computed else " (declared Lipschitz constants)")
    excess = support_excess(game, mixed.p)
    if excess > d:
        return Bound("potential", None, source, failed=(f"the point has {excess} extra actions in use, a vertex at most d = {d}",))
    reach = game.delta * (1 + d / 2) * (1 + 1e-9)
    low, high = np.maximum(mixed.x - reach, game.lower), np.minimum(mixed.x + reach, game.upper)
    gamma = game.reduce(np.maximum, game.payoff.lipschitz(low, np.maximum(low, high)))
    total = mixed.eta + gamma * (d + 1) * game.delta
    worst = int(np.argmax(total))
    terms = {"eta": float(mixed.eta[worst]), "(d+1) delta gamma": float((d + 1) * game.delta * gamma[worst])}
    return Bound("potential", float(total[worst]), source, terms)
