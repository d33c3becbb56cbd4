"""Value iteration with Anderson acceleration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray, real_number, whole_number
from eqsolve.mdp.bellman import Bellman
from eqsolve.mdp.dynamic_programming import DynamicProgramming
from eqsolve.mdp.iteration import Ending, Iterate, ended, narrower, start
from eqsolve.mdp.modified_policy_iteration import shifted

RANK = 1e-10
GROWTH = 10.0
STALLED = 200
MOST_REST = 4096


@dataclass(frozen=True, slots=True, eq=False)
class AndersonIterate(Iterate):
    """The memory of the acceleration.

    Parameters
    ----------
    safe : (S,) what plain value iteration would take next from the best values so far. span : the span of Tv - v there.
    waited : mixed sweeps since then. resting : plain sweeps still to do before mixing again. penalty : how many the next failure
        costs.
    point, residual : (S,) the last values and Tv - v less its mean. moves, turns : (m, S) their last differences, of which
        ``used`` hold; -1 before there is a last point.
    """

    safe: FloatArray
    span: float
    waited: int
    resting: int
    penalty: int
    point: FloatArray
    residual: FloatArray
    moves: FloatArray
    turns: FloatArray
    used: int


@dataclass(frozen=True, slots=True)
class ValueIteration(DynamicProgramming[AndersonIterate]):
    r"""Value iteration with MacQueen's bounds, accelerated by Anderson's mixing of the last ``memory`` sweeps; discounted MDPs.

    The next values are :math:`Tv - \sum_k \theta_k \Delta_k (Tv)` with the :math:`\theta` that makes the residual
    :math:`Tv - v`, less its mean, least in that affine space. Safeguard: a plain sweep brings the span of the residual down by
    gamma; where ``patience`` mixed ones have not done as much for the best so far, or one has made it ten times larger, plain
    sweeps from the best values follow, twice as many after each failure. So it converges, and in the end no slower than value
    iteration up to a vanishing share of failures.

    Parameters
    ----------
    tolerance : the middle of the bracket is to be within this of v*, in reward units.
    memory : sweeps that are mixed; 0 for plain value iteration. patience : as above.

    Raises
    ------
    InvalidData : a parameter out of range.

    Notes
    -----
    Sources: Anderson (1965); Walker and Ni (2011); for MDPs, Geist and Scherrer (2018), "Anderson acceleration for reinforcement
    learning".
    """

    tolerance: float = 1e-8
    memory: int = 5
    patience: int = 20

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "tolerance", real_number("tolerance", self.tolerance, least=0.0))
        put(self, "memory", whole_number("memory", self.memory, 0))
        put(self, "patience", whole_number("patience", self.patience, 0))

    def begin(self, operator: Bellman, values: FloatArray | None = None) -> AndersonIterate:
        """The iterate that starts from ``values`` (S,), zero when left out."""
        fields: Any = start(operator, values)
        v = fields["values"]
        return AndersonIterate(
            **fields,
            safe=v,
            span=np.inf,
            waited=0,
            resting=0,
            penalty=1,
            point=v,
            residual=np.zeros_like(v),
            moves=np.zeros((self.memory, len(v))),
            turns=np.zeros((self.memory, len(v))),
            used=-1,
        )

    def advance(self, operator: Bellman, iterate: AndersonIterate) -> AndersonIterate:
        """One sweep, and the mixing that gives the values of the next."""
        v = iterate.values
        top, pairs = operator.greedy(v)
        fields: Any = narrower(iterate, pairs, operator.bracket(v, top))
        change = top - v
        low, high = float(change.min()), float(change.max())
        plain = shifted(top, (low, high), operator.gamma, operator.gamma)
        if iterate.resting or not self.memory:
            resting = max(iterate.resting - 1, 0)
            return replace(iterate, **fields, values=plain, safe=plain, span=high - low, resting=resting, used=-1)
        better = iterate.used <= 0 or high - low <= operator.gamma * iterate.span
        waited = 0 if better else iterate.waited + 1
        if waited > self.patience or high - low > GROWTH * iterate.span:
            penalty = min(2 * iterate.penalty, MOST_REST)
            return replace(iterate, **fields, values=iterate.safe, waited=0, resting=penalty, penalty=penalty)
        residual = change - change.mean()
        moves, turns, used = self._remember(iterate, v, residual)
        return replace(
            iterate,
            **fields,
            values=_mixed(top, residual, moves[:used], turns[:used], plain),
            safe=plain if better else iterate.safe,
            span=high - low if better else iterate.span,
            waited=waited,
            point=v,
            residual=residual,
            moves=moves,
            turns=turns,
            used=used,
        )

    def ending(self, iterate: AndersonIterate) -> Ending | None:
        """Why the run ends, or None."""
        return ended(iterate, self.tolerance, STALLED)

    def _remember(self, iterate: AndersonIterate, v: FloatArray, residual: FloatArray) -> tuple[FloatArray, FloatArray, int]:
        if iterate.used < 0:
            return iterate.moves, iterate.turns, 0
        moves, turns = np.roll(iterate.moves, 1, axis=0), np.roll(iterate.turns, 1, axis=0)
        moves[0], turns[0] = v - iterate.point, residual - iterate.residual
        return moves, turns, min(iterate.used + 1, self.memory)


def _mixed(top: FloatArray, residual: FloatArray, moves: FloatArray, turns: FloatArray, plain: FloatArray) -> FloatArray:
    """Tv minus the combination of its last differences that takes the most out of the residual; ``plain`` where none does."""
    size = np.linalg.norm(turns, axis=1)
    keep = size > 0.0
    if not keep.any():
        return plain
    unit = turns[keep] / size[keep, None]
    theta = np.linalg.lstsq(unit @ unit.T, unit @ residual, rcond=RANK)[0] / size[keep]
    return np.asarray(top - theta @ (moves[keep] + turns[keep]))
