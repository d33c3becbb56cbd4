"""What the iterative methods for discounted MDPs share: an iterate of arrays, and the rule by which they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.mdp.bellman import Bellman, Bracket

Ending: TypeAlias = Literal["within tolerance", "at rounding", "iteration limit"]

NEAR_FLOOR = 4.0
"""A bracket this many times as wide as rounding makes it is not going to become narrower."""
STALLED_FLOOR = 100.0
"""A bracket less than so many floors wide counts as at rounding when it has not become narrower for some time."""


@dataclass(frozen=True, slots=True, eq=False)
class Iterate:
    """The state of a method between two steps.

    Parameters
    ----------
    values : (S,) the values that the next sweep starts from.
    pairs : (S,) the policy of the narrowest bracket so far. lower, upper : (S,) that bracket: of its value, and of v*.
    width : its largest width. since : iterations since it was found.
    excess : how many times wider than rounding makes it the last bracket was.
    iteration : steps so far.
    """

    values: FloatArray
    pairs: IntArray
    lower: FloatArray
    upper: FloatArray
    width: float
    excess: float
    since: int
    iteration: int


def ended(iterate: Iterate, tolerance: float, patience: int) -> Ending | None:
    """Why a method ends here by its own rule, or None: the middle of the bracket is within ``tolerance``, or rounding bars it.

    ``patience`` is the number of iterations without a narrower bracket that one near rounding is given.
    """
    if not iterate.iteration:
        return None
    if iterate.width <= 2.0 * tolerance:
        return "within tolerance"
    stalled = iterate.since >= patience and iterate.excess <= STALLED_FLOOR
    return "at rounding" if stalled or iterate.excess <= NEAR_FLOOR else None


def start(operator: Bellman, values: FloatArray | None) -> dict[str, object]:
    """The fields of an iterate before the first step."""
    S = len(operator.first) - 1
    v = np.zeros(S) if values is None else np.array(values, dtype=np.float64)
    wide = np.full(S, np.inf)
    return {
        "values": v,
        "pairs": operator.first[:-1].copy(),
        "lower": -wide,
        "upper": wide,
        "width": np.inf,
        "excess": np.inf,
        "since": 0,
        "iteration": 0,
    }


def narrower(iterate: Iterate, pairs: IntArray, found: Bracket) -> dict[str, object]:
    """The fields of the next iterate about the bracket: the one just found if it is narrower, else the one in hand."""
    count = {"iteration": iterate.iteration + 1, "excess": found.excess}
    if found.width < iterate.width:
        new = {"pairs": pairs, "lower": found.lower, "upper": found.upper, "width": found.width}
        return {**new, **count, "since": 0}
    return {**count, "since": iterate.since + 1}
