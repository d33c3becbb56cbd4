r"""How far from a best response a player may be at a cell's centre: the sets BA_i(x) of the stage programs."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Literal, cast

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

    gamma_i is player i's Lipschitz constant: around the cell, but for the term gamma_i zeta and for ``paper``, which take it on
    the whole range. Source: ``docs/aggregative.md``, section "Tolerances".

    Raises
    ------
    UnknownName : no such preset.
    InvalidData : a negative number; a preset together with a number, or neither; zeta with another preset than ``opt``.
    """

    preset: Preset | None
    zeta: float = 0.0
    eta: float | None = None

    def __post_init__(self) -> None:
        if self.preset is not None and self.preset not in PRESETS:
            raise unknown("tolerance", self.preset, PRESETS)
        if (self.preset is None) is (self.eta is None):
            raise InvalidData(f"tolerance has the preset {self.preset!r} and the number {self.eta}", "Give one of the two.")
        zeta = float(float_array("zeta", self.zeta, ()))
        if zeta < 0 or (zeta > 0 and self.preset != "opt"):
            raise InvalidData(
                f"zeta is {zeta:g} with tolerance {self.name!r}", "zeta is 0 or more, and belongs to tolerance 'opt'."
            )
        if self.eta is not None and float(float_array("tolerance", self.eta, ())) < 0:
            raise InvalidData(f"tolerance is {self.eta:g}; it is 0 or more, in payoff units")

    @staticmethod
    def of(value: str | float | Tolerance, zeta: float = 0.0) -> Tolerance:
        """A preset by name, or a number in payoff units; a tolerance is handed through."""
        if isinstance(value, Tolerance):
            return value if not zeta else Tolerance(value.preset, zeta, value.eta)
        if isinstance(value, str):
            return Tolerance(cast(Preset, value), zeta)
        if isinstance(value, bool):
            raise InvalidData(f"tolerance is {value}", f"Give a number in payoff units, or one of {', '.join(PRESETS)}.")
        return Tolerance(None, zeta, float(float_array("tolerance", value, ())))

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

    def values(self, game: AggregativeGame, gamma: FloatArray, gamma_on_range: FloatArray, b: float) -> FloatArray:
        """eta (T,) for half-width b and constants (T,): around the cell, and on the whole range."""
        if self.eta is not None:
            return gamma * 0.0 + self.eta
        if self.preset == "existence":
            return 2 * b * gamma
        if self.preset == "opt":
            return gamma_on_range * self.zeta + gamma * (2 * b + game.delta)
        return gamma * (paper_zeta(game) + 2 * b + game.delta)


def paper_zeta(game: AggregativeGame) -> float:
    """zeta_n = delta sqrt(8 n ln(2 m n)), the draft's, m the largest number of actions."""
    n, m = game.n_players, int(game.n_actions.max())
    return game.delta * sqrt(8 * n * log(2 * m * n))
