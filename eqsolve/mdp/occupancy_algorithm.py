"""The occupancy program of a finite MDP as an algorithm for the driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from eqsolve.backends import Limits, Outcome
from eqsolve.driver import Answered, OneProgram, Result
from eqsolve.driver.algorithm import selected
from eqsolve.errors import unknown
from eqsolve.mdp.dynamic_programming import MDPPolicy, linear_program
from eqsolve.mdp.forms import solve_occupancy
from eqsolve.mdp.model import FiniteMDP
from eqsolve.mdp.programs import occupancy_program
from eqsolve.mdp.recovery import policy_from
from eqsolve.programs import Program

FORMS = ("auto", "primal", "dual")
METHODS = ("auto", "simplex", "ipm", "pdlp")
TOLERANCE = 1e-6
"""Gap, relative to 1 + the value, that solvers may leave."""


@dataclass(frozen=True, slots=True)
class OccupancyLP(OneProgram[FiniteMDP, MDPPolicy]):
    """The best policy from the program over its visits, by any backend; see ``solve_occupancy``.

    Parameters
    ----------
    form : "primal" over visits, "dual" over values, or "auto". method : of HiGHS: "simplex", "ipm", "pdlp" or "auto".
    """

    form: Literal["auto", "primal", "dual"] = "auto"
    method: Literal["auto", "simplex", "ipm", "pdlp"] = "auto"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown("form of the occupancy program", self.form, FORMS)
        if self.method not in METHODS:
            raise unknown("method of HiGHS", self.method, METHODS)

    def build(self, game: FiniteMDP) -> Program:
        """The program over visits."""
        return occupancy_program(game)

    def answer(self, game: FiniteMDP, backend: str, limits: Limits) -> Outcome:
        """Solve it in the form and by the method that suit the process."""
        return solve_occupancy(game, backend, form=self.form, method=self.method, limits=limits).outcome

    def read(self, game: FiniteMDP, outcome: Outcome) -> MDPPolicy:
        """The policy of the visits, and of the duals in states that are not visited."""
        return MDPPolicy(policy_from(game, self.build(game), outcome))

    def objection(self, result: Result[FiniteMDP, Answered, MDPPolicy]) -> str:
        """The program's certificate, and the gap."""
        allowed = TOLERANCE * (1.0 + abs(result.value))
        beyond = f"the gap {result.gap.upper:.3g} is above {allowed:.3g}" if result.gap.upper > allowed else ""
        return super(OccupancyLP, self).objection(result) or beyond

    def program(self, result: Result[FiniteMDP, Answered, MDPPolicy], *which: Any) -> Program:
        """``"occupancy"`` (the default) or its dual, ``"value"``."""
        return linear_program(result.game, *which)

    def select(self, game: FiniteMDP, selector: str, solved: Callable[[], Result[FiniteMDP, Answered, MDPPolicy]]) -> Program:
        """The same; nothing needs to be solved for it."""
        return linear_program(game, *selected(selector))
