"""The dynamic programs of finite MDPs as algorithms for the driver."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from eqsolve.arrays import FloatArray, float_array
from eqsolve.driver import Algorithm, Record, Result, Run, Status
from eqsolve.driver.algorithm import selected
from eqsolve.errors import InvalidData
from eqsolve.mdp.bellman import Bellman
from eqsolve.mdp.iteration import Ending, Iterate
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.programs import Program

State = TypeVar("State", bound=Iterate)
ROUNDING = 1e-9
"""Gap, relative to 1 + the largest value, that is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class MDPPolicy:
    """A policy of a finite MDP.

    Parameters
    ----------
    probability : (K,) of the action of each pair in its state; with a horizon (H, K).
    """

    probability: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "probability", float_array("probability", self.probability))

    def choice(self, mdp: FiniteMDP) -> Any:
        """(S,), or (H, S): the likeliest action number of each state."""
        table = np.split(self.probability, mdp.first[1:-1], axis=-1)
        return np.stack([part.argmax(axis=-1) for part in table], axis=-1)


class DynamicProgramming(Algorithm[FiniteMDP, State, MDPPolicy]):
    """An iterative method on the Bellman operator of a discounted process.

    Every iterate carries a bracket of v* and of the value of its policy; the run ends when that is narrow enough.
    """

    __slots__ = ()

    tolerance: float

    @abstractmethod
    def begin(self, operator: Bellman, values: FloatArray | None = None) -> State:
        """The iterate that starts from ``values`` (S,), zero when left out."""

    @abstractmethod
    def advance(self, operator: Bellman, iterate: State) -> State:
        """The next iterate."""

    @abstractmethod
    def ending(self, iterate: State) -> Ending | None:
        """Why the method ends here, or None."""

    def init(self, game: FiniteMDP, run: Run) -> State:
        """Start from zero."""
        if game.horizon is not None:
            raise InvalidMDP(
                f"{type(self).__name__} is for discounted processes without end; this one has horizon {game.horizon}",
                "Use BackwardInduction.",
            )
        return self.begin(run.derived("Bellman operator", lambda: Bellman.of(game)))

    def step(self, game: FiniteMDP, state: State, run: Run) -> tuple[State, Record]:
        """One iteration; the record has the mean of the bracket over the initial distribution, and its largest width."""
        following = self.advance(run.derived("Bellman operator", lambda: Bellman.of(game)), state)
        ends = {"lower": -np.inf, "upper": np.inf}
        if np.isfinite(following.width):
            # Not by BLAS, whose threads wait for each other for milliseconds where other work keeps the cores busy.
            ends = {name: float((game.initial * getattr(following, name)).sum()) for name in ends}
        return following, {**ends, "width": float(following.width)}

    def done(self, game: FiniteMDP, state: State) -> Status | None:
        """Converged within the tolerance; stalled where rounding bars a bracket so narrow."""
        ending = self.ending(state)
        if ending is None:
            return None
        exact = not self.tolerance or state.width <= self._allowed(state)
        return Status.CONVERGED if ending == "within tolerance" or exact else Status.STALLED

    def finish(self, game: FiniteMDP, state: State, run: Run) -> MDPPolicy:
        """The policy of the narrowest bracket; the first action everywhere before the first step."""
        policy = np.zeros(game.n_pairs)
        policy[state.pairs] = 1.0
        return MDPPolicy(policy)

    def objection(self, result: Result[FiniteMDP, State, MDPPolicy]) -> str:
        """A gap above the width of the bracket that the run asked for."""
        allowed = self._allowed(result.state)
        return f"the gap {result.gap.upper:.3g} is above {allowed:.3g}" if result.gap.upper > allowed else ""

    def _allowed(self, state: State) -> float:
        size = float(max(np.abs(state.lower).max(), np.abs(state.upper).max()))
        return max(2.0 * self.tolerance, ROUNDING * (1.0 + size))

    def program(self, result: Result[FiniteMDP, State, MDPPolicy], *which: Any) -> Program:
        """The linear program that the run solved: ``"occupancy"`` (the default) or its dual, ``"value"``."""
        return linear_program(result.game, *which)

    def select(self, game: FiniteMDP, selector: str, solved: Callable[[], Result[FiniteMDP, State, MDPPolicy]]) -> Program:
        """The same; nothing needs to be solved for it."""
        return linear_program(game, *selected(selector))


def truth_value(name: str, value: Any) -> bool:
    """A parameter that is True or False.

    Raises
    ------
    InvalidData : neither.
    """
    if isinstance(value, bool | np.bool):
        return bool(value)
    raise InvalidData(f"{name} is {value!r}, not True or False")


def linear_program(mdp: FiniteMDP, which: str | int = "occupancy", *more: str | int) -> Program:
    """The occupancy program of a process, or the value program.

    Raises
    ------
    InvalidData : another name.
    """
    # Their structures call these methods.
    from eqsolve.mdp.programs import occupancy_program, value_program

    known = {"occupancy": occupancy_program, "value": value_program}
    if which not in known or more:
        name = ":".join(map(str, (which, *more)))
        raise InvalidData(f"there is no program {name!r} of an MDP", f"Give {' or '.join(map(repr, known))}.")
    return known[str(which)](mdp)
