"""The rows and columns that all occupancy programs share: flow of visits from state to state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import BoolArray, FloatArray
from eqsolve.mdp.model import FiniteMDP
from eqsolve.programs import Block, ProgramBuilder

ROOM = 2.0
"""Columns of visits are bounded by this many times all visits there are, so that the bound never binds."""


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    r"""The flow equations of a process for ``scale`` episodes that run at once, with M = n_steps S rows, N = n_steps K columns.

    .. math:: \sum_a d_0(s, a) = \kappa \mu(s), \qquad
              \sum_a d_{h+1}(s, a) - \gamma \sum_{s', a'} P_h(s \mid s', a')\, d_h(s', a') = 0

    and without a horizon :math:`\sum_a d(s, a) - \gamma \sum_{s', a'} P(s \mid s', a')\, d(s', a') = \kappa \mu(s)`.

    Parameters
    ----------
    mdp : the process.
    scale : kappa, the number of episodes.
    matrix : (M, N) coefficients.
    supply : (M,) right-hand sides, ``scale`` times the initial distribution at the first step.
    reward : (N,) reward of each column; at the last step the expected terminal value is added.
    most : a bound of the visits of any column that never binds.
    """

    mdp: FiniteMDP
    scale: float
    matrix: sparse.csc_array
    supply: FloatArray
    reward: FloatArray
    most: float

    @staticmethod
    def of(mdp: FiniteMDP, *, scaled: bool = True, discounted: bool = True) -> Flow:
        """The flow of a process.

        Parameters
        ----------
        scaled : take 1 / max(initial) episodes, which makes the largest right-hand side 1; one episode otherwise.
        discounted : count a visit at step h as gamma^h, as the values do; otherwise (with a horizon only) as 1, and the
            rewards of step h carry gamma^h instead.
        """
        gamma = mdp.gamma if discounted else 1.0
        steps = mdp.n_steps
        scale = 1.0 / float(mdp.initial.max()) if scaled else 1.0
        supply = np.zeros(steps * mdp.n_states)
        supply[: mdp.n_states] = mdp.initial / mdp.initial.max() if scaled else mdp.initial
        reward = step_rewards(mdp)
        if not discounted:
            reward = reward * mdp.gamma ** np.arange(steps)[:, None]
        most = ROOM * scale / (1.0 - gamma) if mdp.horizon is None else ROOM * scale
        return Flow(mdp, scale, flow_matrix(mdp, gamma), supply, reward.reshape(-1), most)

    def columns(self, builder: ProgramBuilder, name: str, lower: npt.ArrayLike = 0.0, upper: npt.ArrayLike | None = None) -> Block:
        """Add a block with one column for every pair (and step); bounds are those of visits unless given."""
        shape, counts, axes, labels = pair_axes(self.mdp)
        bound = self.most if upper is None else upper
        return builder.columns(name, shape, counts=counts, axes=axes, labels=labels, lower=lower, upper=bound)

    def rows(self, builder: ProgramBuilder, d: Block, name: str = "flow") -> Block:
        """Add the flow equations of a block of visits."""
        shape, axes, labels = state_axes(self.mdp)
        flow = builder.rows(name, shape, axes=axes, labels=labels, lower=self.supply, upper=self.supply)
        builder.add(flow, d, self.matrix)
        return flow


def state_axes(mdp: FiniteMDP) -> tuple[tuple[int, ...], tuple[str, ...], tuple[tuple[str, ...] | None, ...]]:
    """Shape, axes and labels of a block over states, with a horizon over (step, state)."""
    states = mdp.states or None
    if mdp.horizon is None:
        return (mdp.n_states,), ("state",), (states,)
    return (mdp.horizon, mdp.n_states), ("step", "state"), (None, states)


def pair_axes(
    mdp: FiniteMDP,
) -> tuple[tuple[int, ...], npt.NDArray[np.int64] | None, tuple[str, ...], tuple[tuple[str, ...] | None, ...]]:
    """Shape (or counts), axes and labels of a block over pairs.

    (state, action); with a horizon (step, state, action), and where states differ in their actions (step, pair) with pairs
    called ``state/action``.
    """
    most, states = int(mdp.n_actions.max()), mdp.states or None
    even = bool((mdp.n_actions == most).all())
    actions = mdp.actions[:most] if even and mdp.actions and mdp.actions == mdp.actions[:most] * mdp.n_states else None
    if mdp.horizon is None:
        shape = (mdp.n_states, most) if even else ()
        return shape, None if even else mdp.n_actions, ("state", "action"), (states, actions)
    if even:
        return (mdp.horizon, mdp.n_states, most), None, ("step", "state", "action"), (None, states, actions)
    pairs = tuple(f"{mdp.state_label(s)}/{mdp.action_label(k)}" for k, s in enumerate(mdp.owner.tolist()))
    return (mdp.horizon, mdp.n_pairs), None, ("step", "pair"), (None, pairs)


def flow_matrix(mdp: FiniteMDP, gamma: float) -> sparse.csc_array:
    """(n_steps S, n_steps K) coefficients of the flow equations: 1 for a state's own pairs, -gamma P into the next states."""
    S, K, steps = mdp.n_states, mdp.n_pairs, mdp.n_steps
    own = sparse.csc_array((np.ones(K), mdp.owner, np.arange(K + 1)), shape=(S, K))
    if mdp.horizon is None:
        return sparse.csc_array(own - gamma * _arrivals(mdp, 0))
    row = [(mdp.owner[None, :] + S * np.arange(steps)[:, None]).reshape(-1)]
    column, data = [np.arange(steps * K)], [np.ones(steps * K)]
    last = None
    for h in range(steps - 1):
        if last is None or len(mdp.transition) > 1:
            last = _arrivals(mdp, h).tocoo()
        row.append(last.row + (h + 1) * S)
        column.append(last.col + h * K)
        data.append(-gamma * last.data)
    triplets = (np.concatenate(data), (np.concatenate(row), np.concatenate(column)))
    matrix = sparse.csc_array(sparse.coo_array(triplets, shape=(steps * S, steps * K)))
    matrix.eliminate_zeros()
    return matrix


def reached(mdp: FiniteMDP, gamma: float, played: BoolArray | None = None) -> BoolArray:
    """(n_steps, S) the states that are visited at a step (without a horizon: ever) by a policy that plays all pairs.

    Parameters
    ----------
    gamma : discount of the visits; at 0 only the first ones count.
    played : (n_steps, K) the pairs that may be played; all when left out.
    """
    seen = np.zeros((mdp.n_steps, mdp.n_states), dtype=bool)
    seen[0] = here = mdp.initial > 0
    allowed = np.ones((mdp.n_steps, mdp.n_pairs), dtype=bool) if played is None else played
    if gamma == 0.0:
        return seen
    if mdp.horizon is not None:
        for h in range(mdp.horizon - 1):
            seen[h + 1] = mdp.kernel(h).T @ (seen[h, mdp.owner] & allowed[h]).astype(np.float64) > 0
        return seen
    while here.any():
        here = (mdp.kernel().T @ (here[mdp.owner] & allowed[0]).astype(np.float64) > 0) & ~seen[0]
        seen[0] |= here
    return seen


def step_rewards(mdp: FiniteMDP) -> FloatArray:
    """(n_steps, K) rewards; those of the last step hold the discounted expected terminal value."""
    reward = np.array(np.broadcast_to(mdp.reward, (mdp.n_steps, mdp.n_pairs)))
    if mdp.horizon is not None and mdp.terminal.any():
        reward[-1] += mdp.gamma * (mdp.kernel(mdp.horizon - 1) @ mdp.terminal)
    return reward


def _arrivals(mdp: FiniteMDP, step: int) -> sparse.csc_array:
    """(S, K) the transposed kernel; the arrays of a sparse kernel are taken as they are."""
    kernel = sparse.csr_array(mdp.kernel(step))
    return sparse.csc_array((kernel.data, kernel.indices, kernel.indptr), shape=(mdp.n_states, mdp.n_pairs))
