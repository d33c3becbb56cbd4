r"""How far from a best response a player may be at a cell's centre: the sets BA_i(x) of the stage programs."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.arrays import FloatArray, float_array
from eqsolve.errors import InvalidData, unknown

Preset = Literal["existence", "opt", "paper"]
PRESETS = ("existence", "opt", "paper")


@dataclass(frozen=True, slots=True)
class Tolerance:
    r"""eta_i, by which an action may fall short of the best at the centre of a cell of half-width b.

    ==============  ===============================  ====================================================================
    preset          eta_i                            what it gives
    ==============  ===============================  ====================================================================
    ``existence``   2 b gamma_i                      some cell is always feasible (Kakutani)
    ``opt``         gamma_i (zeta + 2b + delta)      also: welfare at least that of the best (gamma zeta)-equilibrium
    ``paper``       gamma (zeta_n + 2b + delta)      the draft's, zeta_n = delta sqrt(8 n ln(2 m n)), one gamma for all
    a number        itself, in payoff units          whatever cells happen to be feasible
    ==============  ===============================  ====================================================================

    gamma_i is player i's Lipschitz constant around the cell. Source: ``docs/aggregative.md``, section "Tolerances".
    """

    preset: Preset | None
    zeta: float = 0.0
    eta: float | None = None

    @staticmethod
    def of(value: str | float | Tolerance, zeta: float = 0.0) -> Tolerance:
        """A preset by name, or a number in payoff units.

        Raises
        ------
        UnknownName : no such preset. InvalidData : a negative number.
        """
        if isinstance(value, Tolerance):
            return value
        if isinstance(value, str):
            if value not in PRESETS:
                raise unknown("tolerance", value, PRESETS)
            z = float(float_array("zeta", zeta, ()))
            if z < 0 or (z > 0 and value != "opt"):
                raise InvalidData(f"zeta is {z:g} with tolerance {value!r}", "zeta is 0 or more, and belongs to tolerance 'opt'.")
            return Tolerance(value, z)  # type: ignore[arg-type]
        number = float(float_array("tolerance", value, ()))
        if number < 0:
            raise InvalidData(f"tolerance is {number:g}; it is 0 or more, in payoff units")
        return Tolerance(None, 0.0, number)

    @property
    def name(self) -> str:
        """The preset, or the number."""
        return self.preset or f"{self.eta:g}"

    @property
    def is_local(self) -> bool:
        """Whether the constants gamma_i are taken around the cell (the draft takes one for all)."""
        return self.preset != "paper"

    def selects_over(self, game: AggregativeGame) -> str:
        """To which equilibria the welfare guarantee of the search refers."""
        if self.preset == "opt":
            return "pure Nash equilibria" if not self.zeta else f"pure {self.zeta:g} gamma-Nash equilibria"
        if self.preset == "paper":
            return f"pure {paper_zeta(game):.3g} gamma-Nash equilibria"
        return "the approximate equilibria of the cells; none is guaranteed to be an exact one"

    def values(self, game: AggregativeGame, gamma: FloatArray, b: float) -> FloatArray:
        """Eta (T,) for constants gamma (T,) and half-width b."""
        if self.eta is not None:
            return gamma * 0.0 + self.eta
        if self.preset == "existence":
            return 2 * b * gamma
        if self.preset == "opt":
            return gamma * (self.zeta + 2 * b + game.delta)
        return gamma * (paper_zeta(game) + 2 * b + game.delta)


def paper_zeta(game: AggregativeGame) -> float:
    """zeta_n = delta sqrt(8 n ln(2 m n)), the draft's, m the largest number of actions."""
    n, m = game.n_players, int(game.n_actions.max())
    return game.delta * sqrt(8 * n * log(2 * m * n))
