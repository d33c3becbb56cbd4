"""Modified policy iteration: a greedy sweep, then as much evaluation of its policy as pays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray, real_number, whole_number
from eqsolve.mdp.bellman import Bellman, PolicyBellman
from eqsolve.mdp.dynamic_programming import DynamicProgramming, truth_value
from eqsolve.mdp.iteration import Ending, Iterate, ended, narrower, start

SLOW = 0.85
"""Contraction of the span per sweep up to which sweeps are always the cheapest evaluation."""
KRYLOV_STEPS = 200
STALLED = 10
SWEPT_FIRST, TOO_MANY = 20, 400.0
"""After so many improvements, a run that needs more sweeps than this at its last rate goes over to a Krylov method."""


@dataclass(frozen=True, slots=True, eq=False)
class ModifiedIterate(Iterate):
    """What the next evaluation goes by.

    Parameters
    ----------
    reduction : the factor that it aims at. last : the span of the last improvement. swept : sweeps of the evaluation after it.
    krylov : whether BiCGSTAB has taken over.
    """

    reduction: float
    last: float
    swept: int
    krylov: bool


@dataclass(frozen=True, slots=True)
class ModifiedPolicyIteration(DynamicProgramming[ModifiedIterate]):
    r"""Modified policy iteration with MacQueen's bounds, for discounted MDPs.

    Each step sweeps once with all actions, which gives the greedy policy and a bracket of its value and of v*, and evaluates
    that policy roughly: the span of :math:`T_\pi v - v` is brought down by the factor ``reduction``, or ``sweeps`` sweeps are
    done. When after some improvements many more sweeps lie ahead, BiCGSTAB on
    :math:`(I - \gamma P_\pi) x = T_\pi v - v` takes over wherever sweeps bring the span down by less than 15 % each; it is kept
    if it made the residual smaller. A step that did not help makes the next evaluation more exact.

    Parameters
    ----------
    tolerance : the middle of the bracket is to be within this of v*, in reward units.
    reduction : as above, in (0, 1). sweeps : the most sweeps of one evaluation. krylov : whether BiCGSTAB may take over.

    Raises
    ------
    InvalidData : a parameter out of range.

    Notes
    -----
    Sources: Puterman and Shin (1978); MacQueen (1966); for Krylov methods in this place, Gargiani et al. (2024), "Inexact policy
    iteration methods for large-scale Markov decision processes".
    """

    tolerance: float = 1e-8
    reduction: float = 0.05
    sweeps: int = 20
    krylov: bool = True

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "tolerance", real_number("tolerance", self.tolerance, least=0.0))
        put(self, "reduction", real_number("reduction", self.reduction, above=0.0, below=1.0))
        put(self, "sweeps", whole_number("sweeps", self.sweeps, 1))
        put(self, "krylov", truth_value("krylov", self.krylov))

    def begin(self, operator: Bellman, values: FloatArray | None = None) -> ModifiedIterate:
        """The iterate that starts from ``values`` (S,), zero when left out."""
        fields: Any = start(operator, values)
        return ModifiedIterate(**fields, reduction=self.reduction, last=np.inf, swept=0, krylov=False)

    def advance(self, operator: Bellman, iterate: ModifiedIterate) -> ModifiedIterate:
        """One improvement and, unless the bracket is narrow enough, one evaluation."""
        v = iterate.values
        top, pairs = operator.greedy(v)
        fields: Any = narrower(iterate, pairs, operator.bracket(v, top))
        change = top - v
        low, high = float(change.min()), float(change.max())
        helped = high - low <= 0.5 * iterate.last
        reduction = self.reduction if helped else max(0.1 * iterate.reduction, 1e-6)
        following = replace(iterate, **fields, values=top, reduction=reduction, last=high - low)
        if ended(following, self.tolerance, STALLED) is not None:
            return following
        goal = max(2.0 * self.tolerance * (1.0 - operator.gamma), operator.rounding(v))
        krylov = self.krylov and (iterate.krylov or _far(iterate, high - low, goal))
        values, swept = self._evaluate(operator.policy(pairs), operator.gamma, top, (low, high), reduction, krylov)
        return replace(following, values=values, swept=swept, krylov=krylov)

    def ending(self, iterate: ModifiedIterate) -> Ending | None:
        """Why the run ends, or None."""
        return ended(iterate, self.tolerance, STALLED)

    def _evaluate(
        self, policy: PolicyBellman, gamma: float, v: FloatArray, change: tuple[float, float], reduction: float, krylov: bool
    ) -> tuple[FloatArray, int]:
        """The values after the evaluation, and the sweeps that were done."""
        span, goal = change[1] - change[0], reduction * (change[1] - change[0])
        sweep = 0
        while sweep < self.sweeps and (span > goal or not sweep):
            w = policy.backup(v)
            delta = w - v
            sweep += 1
            change = float(delta.min()), float(delta.max())
            before, span = span, change[1] - change[0]
            if krylov and span > goal and sweep > 1 and span > SLOW * before:
                return _by_krylov(policy, shifted(v, change, gamma, 1.0), goal), sweep
            v = w
        return shifted(v, change, gamma, gamma), sweep


def _far(iterate: ModifiedIterate, span: float, goal: float) -> bool:
    """Whether the rate of the last evaluation by sweeps leaves too many of them to do."""
    if iterate.iteration < SWEPT_FIRST or span <= goal:
        return False
    if span >= iterate.last:
        return True
    return bool(np.log(span / goal) / np.log(iterate.last / span) * (iterate.swept + 1) > TOO_MANY)


def shifted(v: FloatArray, change: tuple[float, float], gamma: float, last: float) -> FloatArray:
    """The values moved by the constant that the middle of the last change foretells."""
    return v + last / (1.0 - gamma) * 0.5 * (change[0] + change[1])


def _by_krylov(policy: PolicyBellman, v: FloatArray, goal: float) -> FloatArray:
    """Values whose residual is below ``goal`` in span where BiCGSTAB gets there, never worse than one sweep."""
    swept = policy.backup(v)
    residual = swept - v
    before = float(residual.max() - residual.min())
    if before <= goal:
        return swept
    better = v + policy.correction(residual, goal / before, KRYLOV_STEPS)
    top = policy.backup(better)
    left = top - better
    after = float(left.max() - left.min())
    return top if after < before else swept
