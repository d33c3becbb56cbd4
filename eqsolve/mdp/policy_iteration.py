"""Policy iteration: exact values of a policy, then every action that is strictly better."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, real_number
from eqsolve.mdp.bellman import UNIT, Bellman, Bracket
from eqsolve.mdp.dynamic_programming import DynamicProgramming
from eqsolve.mdp.iteration import Ending, Iterate, narrower, start
from eqsolve.mdp.linear import PolicySystem


@dataclass(frozen=True, slots=True, eq=False)
class PolicyIterate(Iterate):
    """``current`` (S,) is the policy to be evaluated next; ``stable`` says that no action was better than those of the last one."""

    current: IntArray
    stable: bool


@dataclass(frozen=True, slots=True)
class PolicyIteration(DynamicProgramming[PolicyIterate]):
    """Howard's policy iteration, for discounted MDPs.

    A state keeps its action unless another one is better by more than rounding and the error of the evaluation can explain;
    then it takes the first of the best. So every change raises the values, no policy comes twice, and the end is always
    reached. Each evaluation is a linear solve, direct or iterative by size and structure (``PolicySystem``).

    Parameters
    ----------
    tolerance : the run also ends where the middle of the bracket is within this of v*; 0 to go on until the policy is stable.

    Raises
    ------
    InvalidData : a tolerance out of range.

    Notes
    -----
    Source: Howard (1960); Puterman (2005), section 6.4.
    """

    tolerance: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", real_number("tolerance", self.tolerance, least=0.0))

    def begin(self, operator: Bellman, values: FloatArray | None = None, pairs: IntArray | None = None) -> PolicyIterate:
        """The iterate that starts from ``pairs`` (S,), or from the policy greedy for ``values`` (S,), zero when left out."""
        fields: Any = start(operator, values)
        current = operator.greedy(fields["values"])[1] if pairs is None else np.array(pairs, dtype=np.int64)
        return PolicyIterate(**fields, current=current, stable=False)

    def advance(self, operator: Bellman, iterate: PolicyIterate) -> PolicyIterate:
        """One evaluation and one improvement."""
        pairs = iterate.current
        v = PolicySystem.of(operator.kernel[pairs], operator.gamma).solve(operator.reward[pairs])
        q = operator.action_values(v)
        top, best = operator.largest(q)
        own = q[pairs]
        bracket = operator.bracket(v, top, own)
        better = top > own + self._doubt(operator, v, own)
        fields: Any = narrower(iterate, pairs, bracket)
        moved = np.where(better, best, pairs)
        if not better.any():
            fields.update(_of(pairs, bracket))
        return replace(iterate, **fields, values=v, current=moved, stable=not bool(better.any()))

    def ending(self, iterate: PolicyIterate) -> Ending | None:
        """Why the run ends, or None."""
        within = iterate.iteration > 0 and iterate.width <= 2.0 * self.tolerance
        return "within tolerance" if within else "at rounding" if iterate.stable else None

    def _doubt(self, operator: Bellman, v: FloatArray, own: FloatArray) -> float:
        """How much of a difference of two action values may be rounding, or the error of v as the value of the policy."""
        error = operator.rounding(v)
        rate = operator.gamma * operator.mass[1]
        wrong = (float(np.abs(own - v).max()) + error) / (1.0 - rate)
        return 2.0 * (error + rate * wrong) * (1.0 + 64 * UNIT)


def _of(pairs: IntArray, bracket: Bracket) -> dict[str, object]:
    return {"pairs": pairs, "lower": bracket.lower, "upper": bracket.upper, "width": bracket.width}
