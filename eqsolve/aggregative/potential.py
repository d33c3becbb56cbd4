r"""The potential of the mean-field version of an aggregative game."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.shapes import Shape
from eqsolve.arrays import FloatArray, float_array
from eqsolve.errors import InvalidData, InvalidGame

MATCHES = 1e-7
"""Deviation of payoffs from those that a potential implies, relative to the payoffs at the point, that counts as rounding."""


class NoPotential(InvalidGame):
    """A game that has no concave potential, or none that can be read off its payoffs."""


@dataclass(frozen=True, slots=True, eq=False)
class Potential:
    r"""Weights that make every type's payoffs a share in one concave function of the aggregator.

    .. math:: u_{tj}(x) = \kappa_t\, g_{tj} \cdot F(x) + b_{tj} + c_t(x), \qquad F = \nabla \Psi

    with any term c_t that is the same for all actions of the type. A mixed profile that maximises
    :math:`\Psi(\sum g_{tj} q_{tj}) + \sum b_{tj} q_{tj} / \kappa_t` is then an equilibrium against its own aggregator.

    Parameters
    ----------
    shape : Psi: ``Quadratic``, ``Curves``, ``Powers`` or ``Smooth``.
    kappa : positive; one number, or (T,), of the types of the game that it is declared for.
    base : b; one number, or (N,).

    Raises
    ------
    InvalidData : kappa is not positive, or the shape none of the above.
    """

    shape: Shape
    kappa: FloatArray | float = 1.0
    base: FloatArray | float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.shape, Shape):
            raise InvalidData(f"potential.shape is {self.shape!r}", "Give a Quadratic, Curves, Powers or Smooth.")
        for name in ("kappa", "base"):
            value = np.asarray(getattr(self, name))
            object.__setattr__(self, name, float_array(f"potential.{name}", value, None if value.ndim == 0 else (None,)))
        least = np.min(self.kappa)
        if least <= 0:
            place = "" if np.ndim(self.kappa) == 0 else f"[{int(np.argmin(self.kappa))}]"
            raise InvalidData(f"potential.kappa{place} is {least:g}", "The weights of the types are positive.")

    def fitted(self, game: AggregativeGame) -> Potential:
        """The same with kappa (T,) and base (N,) of a game.

        Raises
        ------
        InvalidData : it belongs to a game of another size.
        """
        if self.shape.n_coordinates != game.n_coordinates:
            raise InvalidData(f"the potential has {self.shape.n_coordinates} coordinates, the game {game.n_coordinates}")
        kappa = float_array("potential.kappa", self.kappa, (game.n_types,))
        return Potential(self.shape, kappa, float_array("potential.base", self.base, (game.n_columns,)))

    def weights(self, game: AggregativeGame) -> FloatArray:
        """(N,) b / kappa, what a player on the column adds to the objective beside Psi."""
        fitted = self.fitted(game)
        return np.asarray(fitted.base / np.asarray(fitted.kappa)[game.owner])

    def check(self, game: AggregativeGame, samples: int = 12, seed: int = 0) -> float:
        """Compare the payoffs, and the concavity of the shape, with what the potential says at random attainable aggregators.

        Returns
        -------
        The largest deviation, relative to the payoffs.

        Raises
        ------
        NoPotential : it is not a potential of this game; the message names column and point.
        """
        fitted = self.fitted(game)
        points = attainable(game, samples, np.random.default_rng(seed))
        slopes = np.array([self.shape.gradient(x) for x in points])
        rise = np.einsum("sd,sd->s", np.diff(slopes, axis=0), np.diff(points, axis=0))
        size = np.einsum("sd,sd->s", np.abs(slopes[1:]) + np.abs(slopes[:-1]), np.abs(np.diff(points, axis=0)))
        if (rise > MATCHES * size).any():
            s = int(np.argmax(rise - MATCHES * size))
            between = f"between x = {points[s].tolist()} and x' = {points[s + 1].tolist()}"
            raise NoPotential(f"the potential is not concave {between}: (F(x) - F(x')) . (x - x') is {rise[s]:.3g}")
        worst = 0.0
        kappa = np.asarray(fitted.kappa)[game.owner]
        first = game.offsets[game.owner]
        for x, slope in zip(points, slopes, strict=True):
            u = game.payoff.batch(x[None, :])[0]
            share = kappa * (game.contribution @ slope)
            off = u - share - fitted.base
            off = np.abs(off - off[first])
            size = np.abs(u) + np.abs(share) + np.abs(fitted.base)
            allowed = np.maximum(game.reduce(np.maximum, size)[game.owner], 1e-300)
            c = int(np.argmax(off / allowed))
            worst = max(worst, float(off[c] / allowed[c]))
            if off[c] > MATCHES * allowed[c]:
                raise NoPotential(
                    f"the potential is off by {off[c]:.3g} for {game.column_label(c)} at x = {x.tolist()}",
                    "u = kappa (g . F(x)) + base + (a term that is the same for all actions of the type) has to hold.",
                )
        return worst


def attainable(game: AggregativeGame, samples: int, rng: np.random.Generator) -> FloatArray:
    """Random attainable aggregators (samples, d): between profiles that are extreme in random directions."""
    unit = np.maximum(np.abs(game.contribution).max(axis=0), 1e-300)
    ends = []
    for direction in rng.standard_normal((samples + 1, game.n_coordinates)):
        score = game.contribution @ (direction / unit)
        top = game.reduce(np.maximum, score)[game.owner]
        first = np.minimum.reduceat(np.where(score == top, np.arange(game.n_columns), game.n_columns), game.offsets[:-1])
        ends.append(game.players @ game.contribution[first])
    share = rng.random((samples, 1))
    return np.asarray(share * np.array(ends[:-1]) + (1 - share) * np.array(ends[1:]))
