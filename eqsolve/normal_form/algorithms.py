"""The equilibria of a finite game as algorithms for the driver: one program each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from eqsolve.arrays import FloatArray, frozen, real_number, whole_number
from eqsolve.backends import Limits, Outcome
from eqsolve.driver import Answered, OneProgram, Result
from eqsolve.errors import InvalidData, unknown
from eqsolve.normal_form.correlated import answer_program, distribution_of, equilibrium_program
from eqsolve.normal_form.game import NormalFormGame
from eqsolve.normal_form.policies import Lottery, MixedProfile
from eqsolve.normal_form.polymatrix import PolymatrixGame
from eqsolve.normal_form.programs import OBJECTIVES, Correlated, check_sense
from eqsolve.normal_form.pure import TOLERANCE, largest_gains, profile_of, pure_nash_program, why_none
from eqsolve.normal_form.regret import check_concept
from eqsolve.normal_form.zero_sum import strategies_of, value_program
from eqsolve.programs import Program


def as_objective(given: Any) -> str | tuple[str, int | str]:
    """An objective by name, or ``("player", i)`` by number or label, which files hold as a list.

    Raises
    ------
    InvalidData, UnknownName : neither.
    """
    if isinstance(given, str):
        if given not in OBJECTIVES:
            raise unknown("objective", given, (*OBJECTIVES, "('player', i)"))
        return given
    if isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[0], str) and given[0] == "player":
        who = given[1] if isinstance(given[1], str) else whole_number("player of the objective", given[1], 0)
        return ("player", who)
    raise InvalidData(f"objective is {given!r}", "Give 'welfare', ('player', i), 'max_entropy' or 'max_gini'.")


def _beyond(result: Result[Any, Any, Any], allowed: float) -> str:
    """The objection to a gap above what the algorithm allows."""
    most = allowed + TOLERANCE * float(largest_gains(result.game).max())
    return f"the gap {result.gap.upper:.3g} is above {most:.3g}" if result.gap.upper > most else ""


@dataclass(frozen=True, slots=True)
class CorrelatedSelection(OneProgram[NormalFormGame, Lottery]):
    """The best (coarse) correlated equilibrium for an objective; see ``correlated_program``.

    Parameters
    ----------
    concept : ``"CE"`` or ``"CCE"``.
    objective : ``"welfare"``, ``("player", i)``, ``"max_entropy"`` or ``"max_gini"``; weights per profile go to
        ``correlated_equilibrium``.
    sense : of a linear objective. epsilon : what a player may gain, in reward units.
    """

    concept: Correlated = "CE"
    objective: str | tuple[str, int | str] = "welfare"
    sense: Literal["min", "max"] = "max"
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        check_concept(self.concept)
        object.__setattr__(self, "objective", as_objective(self.objective))
        object.__setattr__(self, "epsilon", real_number("epsilon", self.epsilon, least=0.0))
        check_sense(self.sense)

    def build(self, game: NormalFormGame) -> Program:
        """The program over the profiles."""
        return equilibrium_program(game, self.concept, self.objective, sense=self.sense, epsilon=self.epsilon)

    def answer(self, game: NormalFormGame, backend: str, limits: Limits) -> Outcome:
        """Ask the backend that suits the objective."""
        return answer_program(self.build(game), backend, limits=limits)

    def read(self, game: NormalFormGame, outcome: Outcome) -> Lottery:
        """The distribution."""
        return Lottery(distribution_of(game, outcome), self.concept)

    def objection(self, result: Result[NormalFormGame, Answered, Lottery]) -> str:
        """The program's certificate, and the gap."""
        return super(CorrelatedSelection, self).objection(result) or _beyond(result, self.epsilon)


@dataclass(frozen=True, slots=True)
class ZeroSum(OneProgram[NormalFormGame, MixedProfile]):
    """Optimal strategies of a zero-sum game of two players."""

    def build(self, game: NormalFormGame) -> Program:
        """The program of the row player."""
        return value_program(game)

    def read(self, game: NormalFormGame, outcome: Outcome) -> MixedProfile:
        """The strategies: the point and its multipliers."""
        return MixedProfile(strategies_of(game.shape, outcome))

    def objection(self, result: Result[NormalFormGame, Answered, MixedProfile]) -> str:
        """The program's certificate, and the gap."""
        return super(ZeroSum, self).objection(result) or _beyond(result, 0.0)


@dataclass(frozen=True, slots=True)
class PureNashSelection(OneProgram[Any, MixedProfile]):
    """The best pure Nash equilibrium for a linear objective, of a table of payoffs or of a polymatrix game.

    Parameters
    ----------
    objective, sense, epsilon : see ``pure_nash_program``.

    Raises
    ------
    NothingReached : there is none; the message says why.
    """

    objective: str | tuple[str, int | str] = "welfare"
    sense: Literal["min", "max"] = "max"
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "objective", as_objective(self.objective))
        object.__setattr__(self, "epsilon", real_number("epsilon", self.epsilon, least=0.0))
        check_sense(self.sense)

    def build(self, game: NormalFormGame | PolymatrixGame) -> Program:
        """The integer program."""
        return pure_nash_program(game, self.objective, sense=self.sense, epsilon=self.epsilon)

    def read(self, game: NormalFormGame | PolymatrixGame, outcome: Outcome) -> MixedProfile:
        """The profile, as one unit vector per player."""
        counts = game.shape if isinstance(game, NormalFormGame) else game.n_actions.tolist()
        profile = profile_of(game, outcome)
        return MixedProfile(tuple(_unit(m, int(a)) for m, a in zip(counts, profile, strict=True)))

    def without_point(self, game: NormalFormGame | PolymatrixGame, outcome: Outcome) -> str:
        """Why there is no pure equilibrium."""
        return why_none(game, self.epsilon, outcome)

    def objection(self, result: Result[Any, Answered, MixedProfile]) -> str:
        """The program's certificate, and the gap."""
        return super(PureNashSelection, self).objection(result) or _beyond(result, self.epsilon)


def _unit(m: int, a: int) -> FloatArray:
    return frozen(np.eye(1, m, a)[0])
