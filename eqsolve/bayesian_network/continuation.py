"""Continuation in lambda: from a strong barrier to a weak one, each optimum the start of the next climb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from eqsolve.arrays import real_number
from eqsolve.bayesian_network.ascent import Ascent, BarrierAscent, theorems
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy
from eqsolve.bayesian_network.programs import named_program
from eqsolve.bayesian_network.result import NetworkResult
from eqsolve.certificates import Bound
from eqsolve.driver import Algorithm, Record, Result, Run, Status
from eqsolve.driver.algorithm import selected
from eqsolve.errors import InvalidData
from eqsolve.programs import Program


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Where a continuation stands: the lambda of the present climb, and the state of its method.

    Parameters
    ----------
    lam : lambda. inner : the method's state. climbs : complete ones.
    """

    lam: float
    inner: Ascent
    climbs: int

    @property
    def objective(self) -> float:
        """L_lambda of the present climb."""
        return self.inner.objective

    @property
    def gradient_norm(self) -> float:
        """Of the present climb."""
        return self.inner.gradient_norm

    @property
    def escapes(self) -> int:
        """Saddles left behind in the present climb."""
        return self.inner.escapes


@dataclass(frozen=True, slots=True)
class Continuation(Algorithm[CooperativeMarkovGame, Stage, BayesianNetworkPolicy]):
    """Run a method at a sequence of lambdas that falls by a factor from ``start`` to the method's own.

    With a strong barrier L_lambda is nearly concave, and the climb does not depend on where it starts; following its optimum down
    avoids most of the poor stationary points that a climb at the small lambda meets.

    Parameters
    ----------
    method : the method, with the lambda to end at. start : the first lambda, in reward units; the span of values when left out.
    factor : between two lambdas, in (0, 1).

    Raises
    ------
    InvalidData : the start lies below the end, or the factor outside (0, 1).
    """

    method: BarrierAscent = field(default_factory=AgentwiseBarrierIteration)
    start: float | None = None
    factor: float = 0.3

    def __post_init__(self) -> None:
        if not isinstance(self.method, BarrierAscent):
            raise InvalidData(f"method is {self.method!r}, not a method with a barrier", "For example: LBFGS('chain', lam=0.01).")
        object.__setattr__(self, "factor", real_number("factor", self.factor, above=0.0, below=1.0))
        if self.start is not None:
            object.__setattr__(self, "start", real_number("start", self.start, least=self.method.lam))

    def init(self, game: CooperativeMarkovGame, run: Run) -> Stage:
        """The first climb's start."""
        lam = max(self.method.lam, game.value_span) if self.start is None else self.start
        return Stage(lam, self._at(lam).init(game, run), 0)

    def step(self, game: CooperativeMarkovGame, state: Stage, run: Run) -> tuple[Stage, Record]:
        """One iteration of the method, or the passage to the next lambda."""
        method = self._at(state.lam)
        ended = method.done(game, state.inner)
        if ended is None:
            inner, record = method.step(game, state.inner, run)
            return replace(state, inner=inner), {"lam": state.lam, **record}
        lam = max(self.method.lam, self.factor * state.lam)
        below = self._at(lam)
        inner = below.begin(game, state.inner.logits, run)
        return Stage(lam, inner, state.climbs + 1), {"lam": lam, **below.record(game, inner, run)}

    def done(self, game: CooperativeMarkovGame, state: Stage) -> Status | None:
        """What the method says at the last lambda."""
        return None if state.lam > self.method.lam else self._at(state.lam).done(game, state.inner)

    def finish(self, game: CooperativeMarkovGame, state: Stage, run: Run) -> BayesianNetworkPolicy:
        """The policy of the present climb."""
        return self._at(state.lam).finish(game, state.inner, run)

    def bounds(self, game: CooperativeMarkovGame, state: Stage, policy: BayesianNetworkPolicy) -> tuple[Bound, ...]:
        """Those of the method."""
        return theorems(game, policy, state.lam)

    def objection(self, result: Result[CooperativeMarkovGame, Stage, BayesianNetworkPolicy]) -> str:
        """What the method objects to."""
        same: Result[Any, Any, Any] = result
        return self.method.objection(same)

    def program(self, result: Result[CooperativeMarkovGame, Stage, BayesianNetworkPolicy], *which: Any) -> Program:
        """A program of the game at the last lambda; see ``named_program``."""
        return named_program(result.game, self.method.lam, *which)

    def select(self, game: CooperativeMarkovGame, selector: str, solved: Callable[[], Any]) -> Program:
        """The same; nothing needs to be solved for it."""
        return named_program(game, self.method.lam, *selected(selector))

    def result_class(self) -> type[NetworkResult]:
        """A result that tells the optimality gap as well."""
        return NetworkResult

    def _at(self, lam: float) -> BarrierAscent:
        return replace(self.method, lam=lam)
