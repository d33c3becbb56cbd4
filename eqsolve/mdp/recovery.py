"""From an answer of a program over visits or values back to visits, values and policies, and from a policy to a basis."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array
from eqsolve.backends.outcome import Basis, Outcome
from eqsolve.errors import InvalidData
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.programs import Program

VISITED = 1e-9
"""Share of the visits at a step from which a state counts as visited."""


def occupancy_of(mdp: FiniteMDP, program: Program, outcome: Outcome, *, normalised: bool = False) -> FloatArray:
    """Expected visits (K,), with a horizon (H, K), of one episode, from an answer of any program over visits or values.

    Parameters
    ----------
    mdp : the process that the program was built from.
    program : with columns ``d`` and rows ``flow``, or with rows ``bellman`` (then the visits are its duals).
    normalised : divide by the sum of all visits, which is 1 / (1 - gamma), or 1 + gamma + ... + gamma^(H-1) with a horizon (H where
        the program does not discount visits).

    Raises
    ------
    InvalidData : the outcome has no point (or no duals, of a value program).
    UnknownName : a program of another kind.
    """
    names = {block.name for block in program.rows}
    vector = outcome.y if "bellman" in names else outcome.x
    if vector is None:
        what = "duals" if "bellman" in names else "point"
        raise InvalidData(f"the outcome of program {program.name!r} has no {what}: {outcome.termination.value}")
    block = program.row_block("bellman") if "bellman" in names else program.column_block("d")
    visits = np.maximum(vector[block.slice], 0.0).reshape(mdp.policy_shape())
    visits = visits / (float(visits.sum()) if normalised else episodes(program))
    visits.setflags(write=False)
    return visits


def value_of(program: Program, outcome: Outcome) -> float:
    """Objective of one episode.

    Raises
    ------
    InvalidData : the outcome has no point.
    """
    if outcome.objective is None:
        raise InvalidData(f"the outcome of program {program.name!r} has no point: {outcome.termination.value}")
    return outcome.objective / episodes(program)


def episodes(program: Program) -> float:
    """The number of episodes that run at once in a program over visits or values: its ``scale``."""
    if any(block.name == "flow" for block in program.rows):
        block = program.row_block("flow")
        first = program.row_lower[block.slice] if len(block.axes) == 1 else program.row_lower[block.slice][: (block.shape or ())[1]]
        return float(first.sum())
    block = program.column_block("v")
    weights = program.c[block.slice] if len(block.axes) == 1 else program.c[block.slice][: (block.shape or ())[1]]
    return float(weights.sum())


def policy_of(
    mdp: FiniteMDP,
    visits: npt.ArrayLike,
    *,
    scores: FloatArray | None = None,
    fallback: npt.ArrayLike | None = None,
    visited: float = VISITED,
) -> FloatArray:
    """The policy (K,), with a horizon (H, K), of visits: the conditional probabilities of actions in each state.

    Parameters
    ----------
    visits : (K,) or (H, K), at any scale; negative rounding counts as 0.
    scores : of the shape of ``visits``, such as the reduced costs of an outcome: a state that is not visited takes its action of
        the largest score. fallback : the policy to take there instead; without either it is uniform there.
    visited : share of the visits at a step above which a state counts as visited.

    Raises
    ------
    InvalidMDP : visits of another shape or not finite, or a fallback that is not a policy.
    """
    shape = mdp.policy_shape()
    d = np.maximum(float_array("visits", visits, shape, error=InvalidMDP), 0.0)
    total = np.add.reduceat(d, mdp.first[:-1], axis=-1)
    seen = total > visited * total.sum(axis=-1, keepdims=True)
    if fallback is not None:
        rest = mdp.check_policy(fallback)
    elif scores is not None:
        rest = _greedy_policy(mdp, float_array("scores", scores, shape, error=InvalidMDP))
    else:
        rest = mdp.uniform_policy()
    share = d / np.where(total > 0, total, 1.0)[..., mdp.owner]
    policy: FloatArray = np.where(seen[..., mdp.owner], share, rest)
    policy.setflags(write=False)
    return policy


def policy_from(mdp: FiniteMDP, program: Program, outcome: Outcome, *, fallback: npt.ArrayLike | None = None) -> FloatArray:
    """``policy_of`` the visits in an outcome; states that are not visited take the greedy action of the duals, or the fallback.

    Raises
    ------
    InvalidData : the outcome has no point.
    """
    scores = None
    linear = program.kind == "LP" and outcome.z is not None
    if fallback is None and linear and outcome.z is not None:
        if any(block.name == "bellman" for block in program.rows):
            if outcome.x is not None:
                scores = program.row_lower - program.A @ outcome.x
        else:
            sign = 1.0 if program.sense == "max" else -1.0
            scores = sign * outcome.z[program.column_block("d").slice]
    scores = None if scores is None else scores.reshape(mdp.policy_shape())
    return policy_of(mdp, occupancy_of(mdp, program, outcome), scores=scores, fallback=fallback)


def policy_basis(mdp: FiniteMDP, choice: npt.ArrayLike) -> Basis:
    """The simplex basis of ``occupancy_program`` in which exactly the pairs of a deterministic policy are basic.

    Handed to a simplex solver by ``Start(basis=...)``, that of an optimal policy leaves no iterations to do.

    Parameters
    ----------
    choice : (S,) action numbers, with a horizon also (H, S).

    Raises
    ------
    InvalidMDP : an action that the state does not have.

    Examples
    --------
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.9)
    >>> policy_basis(mdp, [1, 0]).columns
    array([0, 1, 1], dtype=int8)
    """
    columns = mdp.deterministic(choice).reshape(-1).astype(np.int8)
    return Basis(columns, np.zeros(mdp.n_steps * mdp.n_states, dtype=np.int8))


def _greedy_policy(mdp: FiniteMDP, scores: FloatArray) -> FloatArray:
    """The deterministic policy that takes the first action of the largest score in each state."""
    return mdp.deterministic(best_pairs(mdp, scores) - mdp.first[:-1])


def best_pairs(mdp: FiniteMDP, scores: FloatArray) -> IntArray:
    """(..., S) the first pair of the largest score (..., K) in each state."""
    top = np.maximum.reduceat(scores, mdp.first[:-1], axis=-1)
    hit = np.where(scores == top[..., mdp.owner], np.arange(mdp.n_pairs), mdp.n_pairs)
    pairs: IntArray = np.minimum.reduceat(hit, mdp.first[:-1], axis=-1)
    return pairs
