"""Optimal policies of finite MDPs by exact methods, with brackets of their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar, get_args

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, float_array, real_number, whole_number
from eqsolve.errors import unknown
from eqsolve.mdp.backward_induction import backward_induction
from eqsolve.mdp.bellman import UNIT, Bellman
from eqsolve.mdp.dynamic_programming import DynamicProgramming
from eqsolve.mdp.iteration import Ending, Iterate
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.modified_policy_iteration import ModifiedPolicyIteration
from eqsolve.mdp.policy_iteration import PolicyIteration
from eqsolve.mdp.value_iteration import ValueIteration

Method: TypeAlias = Literal["auto", "policy_iteration", "modified_policy_iteration", "value_iteration", "backward_induction"]
State = TypeVar("State", bound=Iterate)
LIMIT = 100_000


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A policy, and a bracket that holds both its own value and the optimal one.

    Parameters
    ----------
    choice : (S,) action numbers, or (H, S) with a horizon. pairs : the same as numbers of state-action pairs.
    values : (S,), or (H + 1, S) with a horizon, in reward units; within the bracket.
    lower, upper : of the same shape: lower <= value of the policy <= v* <= upper, rounding included.
    iterations : improvements (value iteration: sweeps; backward induction: time steps).
    method : the one that ran. status : why it stopped.
    history : (iterations,) the narrowest bracket's largest width after each one.
    """

    choice: IntArray
    pairs: IntArray
    values: FloatArray
    lower: FloatArray
    upper: FloatArray
    iterations: int
    method: str
    status: Ending
    history: FloatArray

    @property
    def width(self) -> float:
        """The largest distance between the ends of the bracket."""
        return float((self.upper - self.lower).max())


def optimal_policy(
    mdp: FiniteMDP,
    method: Method = "auto",
    tolerance: float = 1e-8,
    *,
    values: FloatArray | None = None,
    limit: int | None = None,
) -> Solution:
    """An optimal policy and a bracket of its value and of v*.

    Parameters
    ----------
    method : ``"modified_policy_iteration"``, ``"policy_iteration"``, ``"value_iteration"`` (these without a horizon),
        ``"backward_induction"`` (with one). ``"auto"`` is backward induction with a horizon. Without one it is modified policy
        iteration and, where rounding bars its bracket from becoming as narrow as ``tolerance`` asks, policy iteration from there.
    tolerance : in reward units: values within this of v*, from a bracket at most twice as wide. 0 asks for the last bit: policy
        iteration then ends with a policy in which no action is better than rounding can explain. Backward induction has no use
        for it.
    values : (S,) where to start from, without a horizon; any values do. Zero when left out.
    limit : the most iterations; 100,000 when left out.

    Returns
    -------
    Solution. ``status`` is ``"within tolerance"``; ``"at rounding"`` where the tolerance is finer than the data in float64
    allow (or, for policy iteration, no action is better); or ``"iteration limit"``.

    Raises
    ------
    InvalidMDP : the method does not fit the process, or the values are not finite. UnknownName : an unknown method.
    InvalidData : tolerance or limit out of range, ``values`` of another shape.

    Examples
    --------
    >>> from eqsolve.mdp import FiniteMDP
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.9)
    >>> solution = optimal_policy(mdp)
    >>> solution.choice.tolist(), solution.values.round(6).tolist(), solution.status
    ([0, 0], [50.0, -10.0], 'within tolerance')
    """
    if method not in get_args(Method):
        raise unknown("method", method, get_args(Method))
    tolerance = real_number("tolerance", tolerance, least=0.0)
    most = LIMIT if limit is None else whole_number("limit", limit, 1)
    begin = None if values is None else float_array("values", values, (mdp.n_states,))
    if mdp.horizon is not None:
        if method not in ("auto", "backward_induction"):
            raise InvalidMDP(
                f"{method} is for discounted processes without end; this one has horizon {mdp.horizon}",
                "Use backward_induction, or auto.",
            )
        return _backward(mdp)
    if method == "backward_induction":
        raise InvalidMDP("backward induction needs a horizon, and the process is discounted without end", "Use auto.")
    operator = Bellman.of(mdp)
    if method == "value_iteration":
        swept, status, history = _run(ValueIteration(tolerance), operator, begin, most)
        return _solution(mdp, swept, method, status, history)
    if method == "policy_iteration":
        return _polished(mdp, PolicyIteration(tolerance), operator, begin, most)
    rough, status, history = _run(ModifiedPolicyIteration(tolerance), operator, begin, most)
    if method == "auto" and status == "at rounding" and len(history) < most:
        middle = 0.5 * (rough.lower + rough.upper)
        return _polished(mdp, PolicyIteration(tolerance), operator, middle, most, rough.pairs, history)
    return _solution(mdp, rough, "modified_policy_iteration", status, history)


def _run(
    method: DynamicProgramming[State], operator: Bellman, begin: FloatArray | None, most: int
) -> tuple[State, Ending, list[float]]:
    history: list[float] = []
    iterate = method.begin(operator, begin)
    while len(history) < most:
        iterate = method.advance(operator, iterate)
        history.append(iterate.width)
        status = method.ending(iterate)
        if status is not None:
            return iterate, status, history
    return iterate, "iteration limit", history


def _polished(
    mdp: FiniteMDP,
    method: PolicyIteration,
    operator: Bellman,
    begin: FloatArray | None,
    most: int,
    pairs: IntArray | None = None,
    before: list[float] | None = None,
) -> Solution:
    history = list(before or ())
    iterate = method.begin(operator, begin, pairs)
    status: Ending | None = None
    while status is None and len(history) < most:
        iterate = method.advance(operator, iterate)
        history.append(iterate.width)
        status = method.ending(iterate)
    return _solution(mdp, iterate, "policy_iteration", status or "iteration limit", history, iterate.values)


def _solution(
    mdp: FiniteMDP, iterate: Iterate, method: str, status: Ending, history: list[float], values: FloatArray | None = None
) -> Solution:
    lower, upper = iterate.lower, iterate.upper
    middle = lower + 0.5 * (upper - lower) if values is None else values
    return Solution(
        choice=iterate.pairs - mdp.first[:-1],
        pairs=iterate.pairs,
        values=np.clip(middle, lower, upper),
        lower=lower,
        upper=upper,
        iterations=len(history),
        method=method,
        status=status,
        history=np.asarray(history),
    )


def _backward(mdp: FiniteMDP) -> Solution:
    state = backward_induction(mdp)
    values = np.stack(state.values[::-1])
    pairs = np.stack(state.pairs[::-1])
    error = np.asarray(state.errors[::-1])[:, None]
    pad = np.where(error > 0.0, error + 2.0 * UNIT * np.abs(values), 0.0)
    width = np.maximum.accumulate(2.0 * np.asarray(state.errors[1:]))
    return Solution(
        pairs - mdp.first[:-1], pairs, values, values - pad, values + pad, len(pairs), "backward_induction", "at rounding", width
    )
